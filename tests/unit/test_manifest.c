#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/little_endian.h"
#include "cluster/manifest.h"
#include "promise.h"

static const struct manifest sample = {.cluster = {1, 2, 3, [15] = 16},
                                       .index = UINT64_C(0x0102030405060708),
                                       .number = 1234567,
                                       .at_ms = 1700000000123,
                                       .digest = {{9, 8, 7, [15] = 1}}};

static void a_manifest_comes_back_as_it_was(void **state)
{
    (void)state;
    char bytes[MANIFEST_SIZE];
    struct manifest back;
    struct errmsg errmsg;
    manifest_encode(bytes, &sample);
    assert_int_equal(manifest_decode(&back, slice_make(bytes, sizeof bytes), &errmsg), 0);
    assert_memory_equal(back.cluster, sample.cluster, sizeof back.cluster);
    assert_memory_equal(&back.digest, &sample.digest, sizeof back.digest);
    assert_true(back.index == sample.index && back.number == sample.number);
    assert_true(back.at_ms == sample.at_ms);
}

/* docs/formats.md, to the byte: other releases have to read it. */
static void its_bytes_are_the_documented_ones(void **state)
{
    (void)state;
    char bytes[MANIFEST_SIZE];
    manifest_encode(bytes, &sample);
    assert_memory_equal(bytes, "LTEAMAN1\1\0\0\0\120\0\0\0\1\2\3", 19);
    assert_memory_equal(bytes + 32, "\10\7\6\5\4\3\2\1\207\326\22\0\0\0\0\0", 16);
    assert_memory_equal(bytes + 56, "\11\10\7", 3);
    assert_memory_equal(bytes + 72, "\0\0\0\0", 4);
}

static void a_flip_of_any_bit_is_found(void **state)
{
    (void)state;
    char bytes[MANIFEST_SIZE];
    struct manifest back;
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        struct errmsg errmsg = {.text = ""};
        manifest_encode(bytes, &sample);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        int rv = manifest_decode(&back, slice_make(bytes, sizeof bytes), &errmsg);
        /* In the version it may be taken for a newer one. */
        assert_true(rv == ERR_FORMAT || (bit / 32 == 2 && rv == ERR_TOO_LARGE));
        assert_true(errmsg.text[0] != '\0');
    }
}

static void one_that_is_cut_or_too_long_is_none(void **state)
{
    (void)state;
    char bytes[MANIFEST_SIZE + 8] = "";
    struct manifest back;
    struct errmsg errmsg;
    manifest_encode(bytes, &sample);
    for (size_t len = 0; len < sizeof bytes; len++) {
        if (len == MANIFEST_SIZE) continue;
        assert_int_equal(manifest_decode(&back, slice_make(bytes, len), &errmsg), ERR_FORMAT);
    }
    assert_int_equal(manifest_decode(&back, (struct slice){NULL, 0}, &errmsg), ERR_FORMAT);
}

static void a_newer_version_is_named_as_such(void **state)
{
    (void)state;
    char bytes[MANIFEST_SIZE + 40] = "";
    struct manifest back;
    struct errmsg errmsg;
    manifest_encode(bytes, &sample);
    little_store(bytes + 8, MANIFEST_VERSION + 1, 4);
    little_store(bytes + 12, sizeof bytes, 4);
    assert_int_equal(manifest_decode(&back, slice_make(bytes, sizeof bytes), &errmsg),
                     ERR_TOO_LARGE);
    assert_non_null(strstr(errmsg.text, "newer Live Tea"));

    little_store(bytes + 8, 0, 4); /* there never was such a one */
    little_store(bytes + 12, MANIFEST_SIZE, 4);
    little_store(bytes + 76, crc32c(slice_make(bytes, 76)), 4);
    assert_int_equal(manifest_decode(&back, slice_make(bytes, MANIFEST_SIZE), &errmsg), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_comes_back_as_it_was),
        cmocka_unit_test(its_bytes_are_the_documented_ones),
        PROMISE("P12", a_flip_of_any_bit_is_found),
        cmocka_unit_test(one_that_is_cut_or_too_long_is_none),
        cmocka_unit_test(a_newer_version_is_named_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
