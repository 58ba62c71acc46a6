/* Command sets: whatever decodes must encode, and decode again to the same message. */
#include "dimse/dimse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dimse_message m, again;
    gn_error e = GN_ERROR_INIT;
    if (dimse_command_decode(data, size, &m, &e)) {
        if (!e.code || !e.message[0]) abort();
        return 0;
    }
    gn_buf b = GN_BUF_INIT;
    if (dimse_command_encode(&m, &b, NULL)) abort();
    if (dimse_command_decode(b.p, b.n, &again, NULL)) abort();
    if (again.command != m.command || again.message_id != m.message_id || again.has_dataset != m.has_dataset || strcmp(again.sop_class, m.sop_class) != 0 ||
        strcmp(again.sop_instance, m.sop_instance) != 0 || strcmp(again.move_destination, m.move_destination) != 0)
        abort();
    if ((m.command & 0x8000) && again.status != m.status) abort();
    gn_buf_done(&b);
    return 0;
}
