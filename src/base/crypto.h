/* The door to libcrypto: digests, authentication codes, random bytes, base64.
 *
 * Nothing here is written by hand. A failure inside libcrypto ends the program: there is no way on
 * without it. Any thread.
 */
#pragma once
#include "base/buf.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32, SECRET_MIN = 32, SECRET_MAX = 256 };

/* SHA-256 over the parts in turn, without separators: the caller frames them. */
void crypto_sha256(uint8_t out[SHA256_SIZE], const struct slice *parts, size_t parts_count);
void crypto_sha1(uint8_t out[SHA1_SIZE], struct slice text);
/* HMAC-SHA-256 over the parts in turn. */
void crypto_hmac(uint8_t out[SHA256_SIZE], struct slice key, const struct slice *parts,
                 size_t parts_count);
void crypto_random(void *out, size_t len);
/* Constant time for equal lengths. */
bool crypto_equal(const void *a, const void *b, size_t len);
/* Overwrites what the compiler would leave. */
void crypto_forget(void *at, size_t len);

/* Standard alphabet with padding; the url form without padding. */
void crypto_add_base64(struct buf *buf, const void *bytes, size_t len);
void crypto_add_base64url(struct buf *buf, const void *bytes, size_t len);
/* Appends the bytes; false for anything but canonical text of that form. */
bool crypto_base64_decode(struct buf *buf, struct slice text);
bool crypto_base64url_decode(struct buf *buf, struct slice text);

/* FNV-1a of 64 bits: names, colours, hash tables; no protection against anybody. */
uint64_t hash_fnv1a(struct slice text);
/* For hash tables whose keys strangers choose: keyed with random bytes drawn once for the process,
 * so that nobody can make keys that collide. It differs from run to run and from node to node:
 * nothing that is written down or compared between nodes may depend on it. */
uint64_t hash_keyed(const void *at, size_t len);
