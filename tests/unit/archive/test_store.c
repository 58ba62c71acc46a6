/* The store alone: records, packs, files, the walk. No index, no DICOM. */
#include "check.h"
#include "store_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[600];

static store *open_at(const char *path, bool read_only) {
    gn_error e = GN_ERROR_INIT;
    store *s = store_open(path, read_only, false, 1, &e);
    (void)check_true(s != NULL, __FILE__, __LINE__, e.message);
    return s;
}

static store *fresh(void) {
    char base[400];
    check_temp_dir(base, sizeof base);
    (void)snprintf(directory, sizeof directory, "%s/store", base);
    return open_at(directory, false);
}

static const store_record sample = { .kind = STORE_OBJECT, .policy = ARCHIVE_REPLACE, .sop_instance = "1.2.3", .transfer_syntax = "1.2.840.10008.1.2.1",
    .source = { .origin = ARCHIVE_FROM_STOW, .calling_ae = "SIXTEENCHARACTER", .called_ae = "B", .address = "2001:db8::1" }, .received_us = 1234567890123456,
    .findings = 5, .object_length = 3000, .dataset_offset = 300, .hash = { 1, 2, 3 }, .object_hash = { 9 } };

/* Appends a record of `bytes` bytes filled with `fill`; returns its place. */
static index_location put(store *s, size_t bytes, uint8_t fill, index_position *end) {
    size_t length = store_align_up(bytes + STORE_RECORD_HEADER);
    uint8_t *p = aligned_alloc(STORE_ALIGN, length);
    store_record r = sample;
    gn_error e = GN_ERROR_INIT;
    memset(p, 0, length);
    memset(p + STORE_RECORD_HEADER, fill, bytes);
    r.object_length = bytes;
    r.dataset_offset = 4;
    store_record_encode(&r, length, p);
    store_append a = { .image = p, .length = length, .object_length = bytes, .dataset_offset = 4 };
    CHECK_INT(store_append_batch(s, &a, 1, end, &e), 0);
    free(p);
    return a.location;
}

static unsigned count_records(store *s, const index_position *from, unsigned *voids, unsigned *damages) {
    store_walker *w = NULL;
    store_visit v;
    unsigned records = 0;
    *voids = *damages = 0;
    CHECK_INT(store_walk_open(s, from, NULL, &w, NULL), 0);
    while (store_walk_next(w, &v, NULL) == 0) {
        if (!v.record) (*damages)++;
        else if (v.record->kind == STORE_VOID) (*voids)++;
        else records++;
    }
    store_walk_close(&w);
    return records;
}

/* ---- records ----------------------------------------------------------------------------------------------------------- */

TEST(record_comes_back_as_it_was) {
    uint8_t h[STORE_RECORD_HEADER], id[16] = { 7 };
    store_record r;
    uint64_t image;
    record_seal seal;
    store_record_encode(&sample, 4096, h);
    CHECK(!store_record_decode(h, &r, &image)); /* not sealed yet */
    record_seal_write(h, id, 3, 8192);
    REQUIRE(store_record_decode(h, &r, &image));
    CHECK_INT(image, 4096);
    CHECK_INT(r.kind, STORE_OBJECT);
    CHECK_INT(r.policy, ARCHIVE_REPLACE);
    CHECK_STR(r.sop_instance, sample.sop_instance);
    CHECK_STR(r.transfer_syntax, sample.transfer_syntax);
    CHECK_STR(r.source.calling_ae, sample.source.calling_ae);
    CHECK_STR(r.source.called_ae, sample.source.called_ae);
    CHECK_STR(r.source.address, sample.source.address);
    CHECK_INT(r.source.origin, ARCHIVE_FROM_STOW);
    CHECK_INT(r.received_us, sample.received_us);
    CHECK_INT(r.findings, 5);
    CHECK_INT(r.object_length, 3000);
    CHECK_INT(r.dataset_offset, 300);
    CHECK_MEM(r.hash, sample.hash, 16);
    CHECK_MEM(r.object_hash, sample.object_hash, 8);
    record_seal_read(h, &seal);
    CHECK_INT(seal.pack, 3);
    CHECK_INT(seal.offset, 8192);
    CHECK_MEM(seal.id, id, 16);
}

TEST(any_changed_byte_of_a_record_is_noticed) {
    uint8_t h[STORE_RECORD_HEADER], id[16] = { 7 };
    store_record r;
    uint64_t image;
    store_record_encode(&sample, 4096, h);
    record_seal_write(h, id, 1, 0);
    for (size_t i = 0; i < sizeof h; i++) {
        h[i] ^= 0x40;
        CHECK(!store_record_decode(h, &r, &image));
        h[i] ^= 0x40;
    }
    CHECK(store_record_decode(h, &r, &image));
}

TEST(record_with_impossible_numbers_is_none) {
    uint8_t h[STORE_RECORD_HEADER], id[16] = { 7 };
    store_record r;
    uint64_t image;
    static const struct { uint64_t object, dataset, image; int kind; } bad[] = { { 3000, 3001, 4096, STORE_OBJECT }, { 4000, 0, 4096, STORE_OBJECT },
        { 1, 0, 100, STORE_OBJECT }, { 1, 0, 0, STORE_OBJECT }, { 1, 0, 4096, 0 }, { 1, 0, 4096, 9 }, { 1, 0, 4096, STORE_FILE /* without a number */ }, { UINT64_MAX, 0, 4096, STORE_OBJECT } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) {
        store_record x = sample;
        x.kind = (store_record_kind)bad[i].kind;
        x.object_length = bad[i].object;
        x.dataset_offset = bad[i].dataset;
        store_record_encode(&x, (size_t)bad[i].image, h);
        record_seal_write(h, id, 1, 0);
        CHECK(!store_record_decode(h, &r, &image));
    }
}

TEST(names_are_ours_or_none) {
    int64_t pack;
    uint64_t number;
    CHECK(pack_number("00000001.pack", &pack) && pack == 1);
    CHECK(pack_number("123456789.pack", &pack) && pack == 123456789);
    static const char *const bad[] = { "1.pack", "00000000.pack", "0000001x.pack", "00000001.pack.x", "", "../00000001.pack", "000000001.pack", "00000001" };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK(!pack_number(bad[i], &pack));
    CHECK(file_number_of("000000000000a3f7.dcm", ".dcm", &number) && number == 0xa3f7);
    CHECK(!file_number_of("000000000000A3F7.dcm", ".dcm", &number));
    CHECK(!file_number_of("0000000000000000.dcm", ".dcm", &number));
    CHECK(!file_number_of("ffffffffffffffff.dcm", ".dcm", &number));
    char name[64];
    file_name(0xa3f7, name);
    CHECK_STR(name, "0000000a/000000000000a3f7.dcm");
}

/* ---- packs ------------------------------------------------------------------------------------------------------------- */

TEST(records_are_found_by_walking) {
    store *s = fresh();
    index_position end, middle = { 0, 0 };
    unsigned voids, damages;
    for (uint8_t i = 0; i < 10; i++) {
        (void)put(s, 100u + 3000u * i, i, &end);
        if (i == 4) middle = end;
    }
    CHECK_INT(end.pack, 1);
    CHECK_INT(count_records(s, NULL, &voids, &damages), 10);
    CHECK_INT(count_records(s, &middle, &voids, &damages), 5);
    CHECK_INT(count_records(s, &end, &voids, &damages), 0);
    CHECK_INT(voids + damages, 0);
    store_close(&s);
    struct stat st;
    char path[700];
    (void)snprintf(path, sizeof path, "%s/packs/00000001.pack", directory);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_size, end.offset); /* zeros that were written ahead are cut off */
    s = open_at(directory, false);
    index_position again = store_end(s);
    CHECK_INT(again.offset, end.offset);
    (void)put(s, 50, 1, &end);
    CHECK_INT(end.offset, again.offset + 4096);
    CHECK_INT(count_records(s, NULL, &voids, &damages), 11);
    store_close(&s);
}

TEST(void_record_gives_its_room_back_and_stays_walkable) {
    store *s = fresh();
    index_position end;
    unsigned voids, damages;
    struct stat before, after;
    char path[700];
    (void)put(s, 1000, 1, &end);
    index_location dead = put(s, 900000, 2, &end);
    (void)put(s, 1000, 3, &end);
    (void)snprintf(path, sizeof path, "%s/packs/00000001.pack", directory);
    CHECK_INT(stat(path, &before), 0);
    CHECK_INT(store_void_record(s, &dead, NULL), 0);
    CHECK_INT(stat(path, &after), 0);
    CHECK_INT(before.st_size, after.st_size);
    CHECK(after.st_blocks < before.st_blocks - 1000);
    CHECK_INT(count_records(s, NULL, &voids, &damages), 2);
    CHECK_INT(voids, 1);
    CHECK_INT(damages, 0);
    store_close(&s);
}

TEST(many_packs_are_held_at_once) {
    enum { PACKS = 50 };
    store *s = fresh();
    index_location place[PACKS];
    void *hold[PACKS];
    for (unsigned i = 0; i < PACKS; i++) {
        index_position end = store_end(s);
        store_set_end(s, &end, true);
        place[i] = put(s, 100, (uint8_t)i, &end);
        CHECK_INT(place[i].pack, i + 1);
    }
    for (unsigned i = 0; i < PACKS; i++) {
        int fd;
        uint64_t offset;
        uint8_t byte = 0;
        REQUIRE(store_open_object(s, &place[i], &fd, &offset, &hold[i], NULL) == 0);
        CHECK_INT(gn_pread_all(fd, &byte, 1, offset + 10, NULL), 0);
        CHECK_INT(byte, i);
    }
    for (unsigned i = 0; i < PACKS; i++) store_release(s, hold[i]);
    store_release(s, NULL);
    store_close(&s);
}

TEST(T38_packs_that_changed_their_names_are_noticed) {
    store *s = fresh();
    index_position end;
    unsigned voids, damages;
    char one[700], two[700], between[700];
    (void)put(s, 100, 1, &end);
    store_set_end(s, &end, true);
    (void)put(s, 100, 2, &end);
    (void)snprintf(one, sizeof one, "%s/packs/00000001.pack", directory);
    (void)snprintf(two, sizeof two, "%s/packs/00000002.pack", directory);
    (void)snprintf(between, sizeof between, "%s/x", directory);
    CHECK_INT(rename(one, between) | rename(two, one) | rename(between, two), 0);
    CHECK_INT(count_records(s, NULL, &voids, &damages), 0);
    CHECK_INT(damages, 2);
    store_close(&s);
}

TEST(places_that_are_not_there_are_told_apart) {
    store *s = fresh();
    index_position end;
    int fd;
    uint64_t offset;
    void *hold;
    index_location l = put(s, 100, 1, &end);
    index_location beyond = l, nowhere = l, file = { 0, 99, 10, 0 }, huge = l;
    beyond.offset += (uint64_t)1 << 30;
    nowhere.pack = 77;
    huge.length = UINT64_MAX;
    CHECK_INT(store_open_object(s, &beyond, &fd, &offset, &hold, NULL), GN_E_CORRUPT);
    CHECK_INT(store_open_object(s, &huge, &fd, &offset, &hold, NULL), GN_E_CORRUPT);
    CHECK_INT(store_open_object(s, &nowhere, &fd, &offset, &hold, NULL), GN_E_NOT_FOUND);
    CHECK_INT(store_open_object(s, &file, &fd, &offset, &hold, NULL), GN_E_NOT_FOUND);
    store_close(&s);
}

/* A file system without O_DIRECT. */
TEST(packs_are_written_where_direct_writing_is_unknown) {
    char path[] = "/dev/shm/gantry-test-XXXXXX";
    index_position end;
    unsigned voids, damages;
    if (!mkdtemp(path)) SKIP("no /dev/shm");
    store *s = open_at(path, false);
    for (uint8_t i = 0; i < 5; i++) (void)put(s, 5000, i, &end);
    CHECK_INT(count_records(s, NULL, &voids, &damages), 5);
    store_close(&s);
    static const char *const left[] = { "packs/00000001.pack", "packs", "objects", "incoming", "quarantine", "gantry.marker", "" };
    for (size_t i = 0; i < GN_ARRAY_LEN(left); i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "%s/%s", path, left[i]);
        CHECK_INT(remove(name), 0);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------------- */

TEST(files_of_any_length_come_into_place) {
    static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 70000, 1 << 20 };
    store *s = fresh();
    uint8_t *p = aligned_alloc(STORE_ALIGN, 1 << 20);
    gn_error e = GN_ERROR_INIT;
    for (size_t i = 0; i < 1 << 20; i++) p[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < GN_ARRAY_LEN(lengths); i++) {
        store_file *f = NULL;
        int code = -1, fd;
        uint64_t offset;
        void *hold;
        size_t whole = lengths[i] & ~(size_t)4095;
        REQUIRE(store_file_create(s, &f, &e) == 0);
        uint64_t number = store_file_number(f);
        CHECK_INT(store_file_write(f, p, whole, &e), 0);
        CHECK_INT(store_file_write(f, p + whole, lengths[i] - whole, &e), 0);
        CHECK_INT(store_file_length(f), lengths[i]);
        CHECK_INT(store_file_sync(f, &e), 0);
        store_file_place(s, &f, &code, 1, &e);
        CHECK_INT(code, 0);
        CHECK(f == NULL);
        index_location l = { 0, number, lengths[i], 0 };
        REQUIRE(store_open_object(s, &l, &fd, &offset, &hold, &e) == 0);
        uint8_t *back = malloc(lengths[i] + 1);
        CHECK_INT(gn_pread_all(fd, back, lengths[i], offset, &e), 0);
        CHECK_MEM(back, p, lengths[i]);
        free(back);
        store_release(s, hold);
        l.length++;
        CHECK_INT(store_open_object(s, &l, &fd, &offset, &hold, NULL), GN_E_CORRUPT);
    }
    free(p);
    store_close(&s);
    s = open_at(directory, false);
    CHECK_INT(store_file_next(s), GN_ARRAY_LEN(lengths) + 1); /* numbers are not given twice */
    store_close(&s);
}

TEST(incoming_file_with_a_record_is_put_into_place_and_others_go) {
    store *s = fresh();
    store_file *f = NULL;
    char from[700], to[700];
    CHECK_INT(store_file_create(s, &f, NULL), 0);
    uint64_t number = store_file_number(f);
    CHECK_INT(store_file_write(f, "hello", 5, NULL), 0);
    CHECK_INT(store_file_sync(f, NULL), 0);
    /* as after a crash: the name stays, nobody has it open */
    (void)snprintf(from, sizeof from, "%s/incoming/%016llx.part", directory, (unsigned long long)number);
    (void)snprintf(to, sizeof to, "%s/keep", directory);
    CHECK_INT(link(from, to), 0);
    store_file_discard(&f);
    CHECK_INT(rename(to, from), 0);
    CHECK_INT(store_file_recover(s, number, 6, NULL), GN_E_CORRUPT);
    CHECK_INT(store_file_recover(s, number, 5, NULL), 0);
    CHECK_INT(store_file_recover(s, number, 5, NULL), 0); /* it is there */
    CHECK_INT(store_file_recover(s, number + 1, 5, NULL), GN_E_NOT_FOUND);
    int fd = open(from, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    (void)close(fd);
    CHECK_INT(store_sweep(s, NULL), 0);
    CHECK(access(from, F_OK) != 0);
    store_close(&s);
}
