/* schema_records: the one table of archive/records.h, and its indexes: partial ones, so that a key that a collection does not use
 * costs nothing. */
#include "records_internal.h"

#define KEY_INDEX(n) "CREATE INDEX record_k" #n " ON record (collection, k" #n ", id) WHERE k" #n " IS NOT NULL;"
static const char first_version[] =
    "CREATE TABLE record (collection @TEXT NOT NULL, id @TEXT NOT NULL, version @INT NOT NULL, created_us @INT NOT NULL, updated_us @INT NOT NULL,"
    " k0 @TEXT, k1 @TEXT, k2 @TEXT, k3 @TEXT, k4 @TEXT, k5 @TEXT, k6 @TEXT, k7 @TEXT, n0 @INT NOT NULL, n1 @INT NOT NULL, body @BYTES NOT NULL,"
    " PRIMARY KEY (collection, id));"
    KEY_INDEX(0) KEY_INDEX(1) KEY_INDEX(2) KEY_INDEX(3) KEY_INDEX(4) KEY_INDEX(5) KEY_INDEX(6) KEY_INDEX(7)
    "CREATE INDEX record_n0 ON record (collection, n0, id);"
    "CREATE INDEX record_n1 ON record (collection, n1, id) WHERE n1 <> 0;"
    "CREATE INDEX record_updated ON record (collection, updated_us, id);";

static const char *const steps[] = { first_version };
const schema records_schema = { "records", steps, (int)GN_ARRAY_LEN(steps) };
