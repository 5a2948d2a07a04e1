/* Fetching an algorithm by its name costs more than a short digest, so it is done once, and each
 * thread keeps its contexts. They go with their thread: a _Thread_local pointer is quick to find, a
 * thread-specific key has the destructor.
 */
#include "base/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/log.h"
#include "base/mem.h"

struct contexts { /* of one thread */
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;
};

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MD *sha1;
static EVP_MAC *hmac;
static pthread_key_t contexts_key;
static uint64_t table_keys[4];

static _Thread_local struct contexts *contexts_here;

static void must(bool worked)
{
    if (worked) return;
    log_error("libcrypto failed", "action=abort");
    abort();
}

static void contexts_free(void *at)
{
    struct contexts *contexts = at;
    EVP_MD_CTX_free(contexts->digest);
    EVP_MAC_CTX_free(contexts->hmac);
    mem_free(contexts);
    contexts_here = NULL;
}

static void fetch_all(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(sha256 != NULL && sha1 != NULL && hmac != NULL);
    must(pthread_key_create(&contexts_key, contexts_free) == 0);
    must(RAND_bytes((unsigned char *)table_keys, sizeof table_keys) == 1);
}

static struct contexts *contexts_get(void)
{
    if (contexts_here != NULL) return contexts_here;

    must(pthread_once(&fetched, fetch_all) == 0);
    struct contexts *contexts = mem_new(sizeof *contexts);
    contexts->digest = EVP_MD_CTX_new();
    contexts->hmac = EVP_MAC_CTX_new(hmac);
    must(contexts->digest != NULL && contexts->hmac != NULL);

    /* The digest's name stays set, so that EVP_MAC_init needs only the key. */
    char name[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    must(EVP_MAC_CTX_set_params(contexts->hmac, params) == 1);
    must(pthread_setspecific(contexts_key, contexts) == 0);
    contexts_here = contexts;
    return contexts;
}

static void digest(const EVP_MD *kind, uint8_t *out, const struct slice *parts, size_t parts_count)
{
    EVP_MD_CTX *context = contexts_get()->digest;
    must(EVP_DigestInit_ex2(context, kind, NULL) == 1);
    for (size_t i = 0; i < parts_count; i++)
        if (parts[i].len > 0) must(EVP_DigestUpdate(context, parts[i].at, parts[i].len) == 1);
    must(EVP_DigestFinal_ex(context, out, NULL) == 1);
}

void crypto_sha256(uint8_t out[SHA256_SIZE], const struct slice *parts, size_t parts_count)
{
    contexts_get(); /* before `sha256` is looked at */
    digest(sha256, out, parts, parts_count);
}

void crypto_sha1(uint8_t out[SHA1_SIZE], struct slice text)
{
    contexts_get();
    digest(sha1, out, &text, 1);
}

void crypto_hmac(uint8_t out[SHA256_SIZE], struct slice key, const struct slice *parts,
                 size_t parts_count)
{
    EVP_MAC_CTX *context = contexts_get()->hmac;
    /* A NULL key would mean "the one from last time". */
    const void *key_at = key.len == 0 ? "" : key.at;
    must(EVP_MAC_init(context, key_at, key.len, NULL) == 1);
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].len == 0) continue;
        must(EVP_MAC_update(context, (const unsigned char *)parts[i].at, parts[i].len) == 1);
    }
    size_t len = 0;
    must(EVP_MAC_final(context, out, &len, SHA256_SIZE) == 1);
    assert(len == SHA256_SIZE);
}

void crypto_random(void *out, size_t len)
{
    unsigned char *at = out;
    while (len > 0) {
        size_t part = len < 1024 ? len : 1024;
        must(RAND_bytes(at, (int)part) == 1);
        at += part;
        len -= part;
    }
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_forget(void *at, size_t len)
{
    OPENSSL_cleanse(at, len);
}

/* ---- base64 ---- */

enum { CHUNK = 48 * 1024 }; /* a multiple of 3 and of 4 */

static void add_base64(struct buf *buf, const void *bytes, size_t len, bool url)
{
    const unsigned char *from = bytes;
    while (len > 0) {
        size_t part = len < CHUNK ? len : CHUNK;
        size_t size = (part + 2) / 3 * 4;
        size_t start = buf->len;
        unsigned char *to = (unsigned char *)buf_extend(buf, size + 1); /* it writes a NUL too */
        if (to == NULL) return;
        int written = EVP_EncodeBlock(to, from, (int)part);
        assert(written == (int)size);
        buf_truncate(buf, start + size);
        if (url) {
            while (buf->len > start && buf->at[buf->len - 1] == '=')
                buf->len--;
            for (size_t i = start; i < buf->len; i++) {
                if (buf->at[i] == '+') buf->at[i] = '-';
                if (buf->at[i] == '/') buf->at[i] = '_';
            }
        }
        from += part;
        len -= part;
    }
}

void crypto_add_base64(struct buf *buf, const void *bytes, size_t len)
{
    add_base64(buf, bytes, len, false);
}

void crypto_add_base64url(struct buf *buf, const void *bytes, size_t len)
{
    add_base64(buf, bytes, len, true);
}

static bool is_digit_of_base64(char c, bool url)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return true;
    return url ? c == '-' || c == '_' : c == '+' || c == '/';
}

/* The text to standard digits with padding, which EVP_DecodeBlock wants; false if it is none. */
static bool to_standard(struct buf *out, struct slice text, bool url)
{
    size_t digits = text.len;
    if (!url) {
        if (text.len % 4 != 0) return false;
        while (digits > 0 && text.len - digits < 2 && text.at[digits - 1] == '=')
            digits--;
    }
    if (digits % 4 == 1) return false;
    for (size_t i = 0; i < digits; i++) {
        char c = text.at[i];
        if (!is_digit_of_base64(c, url)) return false;
        if (c == '-') c = '+';
        if (c == '_') c = '/';
        buf_add_char(out, c);
    }
    while (out->len % 4 != 0)
        buf_add_char(out, '=');
    return !out->overflowed;
}

/* Canonical: the bits that stand for nothing must be 0, or two texts would mean the same bytes. We
 * see it by writing the result again. */
static bool decode(struct buf *buf, struct slice text, bool url)
{
    struct buf standard;
    struct buf again;
    buf_init(&standard, text.len + 4);
    buf_init(&again, text.len + 8);
    size_t start = buf->len;
    bool good = to_standard(&standard, text, url);

    for (size_t from = 0; good && from < standard.len; from += CHUNK) {
        size_t part = standard.len - from < CHUNK ? standard.len - from : CHUNK;
        unsigned char *to = (unsigned char *)buf_extend(buf, part / 4 * 3);
        good = to != NULL && EVP_DecodeBlock(to, (const unsigned char *)standard.at + from,
                                             (int)part) == (int)(part / 4 * 3);
    }
    for (size_t i = standard.len; good && i > 0 && standard.at[i - 1] == '='; i--)
        buf->len--;
    if (good) {
        add_base64(&again, buf->at == NULL ? "" : buf->at + start, buf->len - start, url);
        good = slice_equal(buf_slice(&again), text);
    }
    if (!good) buf_truncate(buf, start);
    if (standard.len > 0) crypto_forget(standard.at, standard.len);
    buf_close(&standard);
    buf_close(&again);
    return good;
}

bool crypto_base64_decode(struct buf *buf, struct slice text)
{
    return decode(buf, text, false);
}

bool crypto_base64url_decode(struct buf *buf, struct slice text)
{
    return decode(buf, text, true);
}

/* ---- hashes for tables ---- */

uint64_t hash_fnv1a(struct slice text)
{
    uint64_t sum = 0xcbf29ce484222325U;
    for (size_t i = 0; i < text.len; i++) {
        sum ^= (unsigned char)text.at[i];
        sum *= 0x100000001b3U;
    }
    return sum;
}

__extension__ typedef unsigned __int128 product;

static uint64_t fold(uint64_t a, uint64_t b)
{
    product whole = (product)a * b;
    return (uint64_t)whole ^ (uint64_t)(whole >> 64);
}

/* Sixteen bytes a step through a multiplication of 128 bits, each half with a secret word. */
uint64_t hash_keyed(const void *at, size_t len)
{
    if (contexts_here == NULL) contexts_get();
    const char *bytes = at;
    uint64_t sum = fold(table_keys[0] ^ len, table_keys[1]);
    while (len > 0) {
        uint64_t words[2] = {0, 0};
        size_t part = len < sizeof words ? len : sizeof words;
        memcpy(words, bytes, part);
        sum = fold(words[0] ^ table_keys[2] ^ sum, words[1] ^ table_keys[3]);
        bytes += part;
        len -= part;
    }
    return fold(sum ^ table_keys[1], table_keys[2]);
}
