#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/checksum.h"
#include "base/crypto.h"
#include "base/hash_table.h"

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    struct buf hex;
    buf_init(&hex, 200);
    buf_add_hex(&hex, bytes, len);
    assert_true(slice_is(buf_slice(&hex), expected));
    buf_close(&hex);
}

static void digests_are_those_of_the_standards(void **state)
{
    (void)state;
    uint8_t out[SHA256_SIZE];
    struct slice parts[] = {SLICE("a"), SLICE(""), SLICE("bc")};
    crypto_sha256(out, parts, 3);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(out, NULL, 0);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha1(out, slice_of("abc"));
    assert_hex(out, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");

    /* RFC 4231, case 2 */
    struct slice data[] = {SLICE("what do ya want "), SLICE("for nothing?")};
    crypto_hmac(out, slice_of("Jefe"), data, 2);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    /* an empty key is a key, not the last one */
    crypto_hmac(out, slice_of(""), NULL, 0);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void digest_on_a_thread(void *owner)
{
    uint8_t out[SHA256_SIZE];
    struct slice part = SLICE("abc");
    for (int i = 0; i < 100; i++)
        crypto_sha256(out, &part, 1);
    crypto_hmac(out, part, &part, 1);
    memcpy(owner, out, sizeof out);
}

static void threads_have_their_own_contexts(void **state)
{
    (void)state;
    uv_thread_t threads[4];
    uint8_t outs[4][SHA256_SIZE];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(uv_thread_create(&threads[i], digest_on_a_thread, outs[i]), 0);
    for (size_t i = 0; i < 4; i++)
        uv_thread_join(&threads[i]);
    for (size_t i = 1; i < 4; i++)
        assert_memory_equal(outs[0], outs[i], SHA256_SIZE);
}

static void base64_goes_both_ways_at_every_length(void **state)
{
    (void)state;
    uint8_t bytes[70];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 250);
    struct buf text;
    struct buf back;
    buf_init(&text, 200);
    buf_init(&back, 200);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        buf_reset(&text);
        buf_reset(&back);
        crypto_add_base64(&text, bytes, len);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_true(crypto_base64_decode(&back, buf_slice(&text)));
        assert_true(slice_equal(buf_slice(&back), slice_make(bytes, len)));
        buf_reset(&text);
        buf_reset(&back);
        crypto_add_base64url(&text, bytes, len);
        assert_true(crypto_base64url_decode(&back, buf_slice(&text)));
        assert_true(slice_equal(buf_slice(&back), slice_make(bytes, len)));
    }
    buf_close(&text);
    buf_close(&back);
}

static void base64_that_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Zg",    "Zg=",  "Zh==", "Zm9=", "Z===",     "Zm9v\n",
                                      " Zm9v", "Zm-v", "Zm=v", "====", "Zg==Zg==", "Zm9vZ"};
    static const char *const bad_url[] = {"Zg==", "Zh", "Zm9", "Z", "Zm+v", "Zm9v=", "Zm9 v"};
    struct buf out;
    buf_init(&out, 100);
    buf_add(&out, slice_of("kept"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(crypto_base64_decode(&out, slice_from(bad[i])));
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++)
        assert_false(crypto_base64url_decode(&out, slice_from(bad_url[i])));
    assert_true(slice_is(buf_slice(&out), "kept"));
    assert_true(crypto_base64url_decode(&out, slice_of("Zg")));
    assert_true(slice_is(buf_slice(&out), "keptf"));
    buf_close(&out);
}

static void a_large_text_goes_through_base64(void **state)
{
    (void)state;
    static char bytes[150001];
    crypto_random(bytes, sizeof bytes);
    struct buf text;
    struct buf back;
    buf_init(&text, 400000);
    buf_init(&back, 400000);
    crypto_add_base64url(&text, bytes, sizeof bytes);
    assert_true(crypto_base64url_decode(&back, buf_slice(&text)));
    assert_true(slice_equal(buf_slice(&back), slice_make(bytes, sizeof bytes)));
    buf_close(&text);
    buf_close(&back);
}

static void random_bytes_differ_and_equal_compares(void **state)
{
    (void)state;
    uint8_t a[32];
    uint8_t b[32];
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    assert_false(crypto_equal(a, b, sizeof a));
    assert_true(crypto_equal(a, a, sizeof a));
    crypto_forget(a, sizeof a);
    assert_int_equal(a[0] | a[31], 0);
}

static void checksums_are_castagnolis_and_go_on(void **state)
{
    (void)state;
    assert_int_equal(crc32c(slice_of("123456789")), 0xe3069283);
    assert_int_equal(crc32c(slice_of("")), 0);
    char zeros[32] = {0};
    assert_int_equal(crc32c(slice_make(zeros, 32)), 0x8a9136aa); /* RFC 3720, B.4 */
    struct slice text = slice_of("goes on where another one ended");
    for (size_t cut = 0; cut <= text.len; cut++)
        assert_int_equal(crc32c_more(crc32c(slice_first(text, cut)), slice_skip(text, cut)),
                         crc32c(text));
    for (size_t first = 0; first < 8;
         first++) { /* an event is checked on one machine, made on another */
        struct slice part = slice_skip(text, first);
        assert_int_equal(crc32c_tables(crc32c(slice_of("1")), part),
                         crc32c_more(crc32c(slice_of("1")), part));
    }
}

static void table_hashes_see_every_bit(void **state)
{
    (void)state;
    assert_true(hash_fnv1a(slice_of("foobar")) == 0x85944171f73967e8U);
    char text[40] = {0};
    for (size_t len = 1; len <= sizeof text; len++) {
        uint64_t before = hash_keyed(text, len);
        assert_true(before == hash_keyed(text, len));
        assert_true(before != hash_keyed(text, len - 1));
        text[len - 1] = 1;
        assert_true(before != hash_keyed(text, len));
        text[len - 1] = 0;
    }
}

struct entry {
    char name[16];
    UT_hash_handle hh;
};

/* In every table of the program: nobody can make names that share a bucket. */
static void tables_have_the_keyed_hash(void **state)
{
    (void)state;
    struct entry entry = {.name = "lobby"}, *table = NULL, *found;
    HASH_ADD_KEYPTR(hh, table, entry.name, 5, &entry);
    assert_int_equal(entry.hh.hashv, (unsigned)hash_keyed("lobby", 5));
    HASH_FIND(hh, table, "lobby", 5, found);
    assert_ptr_equal(found, &entry);
    HASH_DEL(table, &entry);
    assert_null(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standards),
        cmocka_unit_test(threads_have_their_own_contexts),
        cmocka_unit_test(base64_goes_both_ways_at_every_length),
        cmocka_unit_test(base64_that_is_not_canonical_is_refused),
        cmocka_unit_test(a_large_text_goes_through_base64),
        cmocka_unit_test(random_bytes_differ_and_equal_compares),
        cmocka_unit_test(checksums_are_castagnolis_and_go_on),
        cmocka_unit_test(table_hashes_see_every_bit),
        cmocka_unit_test(tables_have_the_keyed_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
