/* Code points, names, words: the door to utf8proc.
 *
 * Text is UTF-8, checked once where it comes in (text_valid) and escaped once where it goes out.
 * All functions are pure; what they make goes into a buffer of the caller.
 */
#pragma once
#include "base/buf.h"

/* Well-formed UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool text_valid(struct slice text);

/* Of valid text. */
size_t text_code_points(struct slice text);

/* Nothing in it but white space (any Unicode Z* category, controls). */
bool text_blank(struct slice text);

/* A NUL or another control character besides newline and tab; a message may not hold one. */
bool text_has_controls(struct slice text);

/* A person's name into `out` (appended): NFC, trimmed, inner white space single. False, with
 * nothing appended, if it is not 1 to NAME_CODE_POINTS_MAX code points, or has control or
 * direction-override characters (categories Cc, Cf; U+200D between emoji is fine). */
bool text_name(struct buf *out, struct slice raw);

/* A room's name into `out` (appended): NFC, lower case, blanks become '-'; letters, digits, '-',
 * '_', '.'; first a letter or digit; 1 to ROOM_CODE_POINTS_MAX code points, at most ROOM_MAX
 * bytes. False, with nothing appended, for anything else. Reserved words are the router's matter. */
bool text_room(struct buf *out, struct slice raw);

/* Lower case by Unicode, appended; for words that are compared (mentions). */
void text_lower(struct buf *out, struct slice text);

/* The first grapheme, for a coloured square; upper case if it has one. Appended. */
void text_initial(struct buf *out, struct slice name);

/* One to three emoji and nothing else but blanks between them. */
bool text_only_emoji(struct slice text);

/* Number of bytes of the longest whole prefix with at most `count` code points. */
size_t text_prefix(struct slice text, size_t count);

/* Percent-decodes into `out` (appended); '+' is a blank if `plus`. False on a bad escape. */
bool text_unescape_url(struct buf *out, struct slice text, bool plus);

/* Percent-encodes everything but unreserved characters (RFC 3986). Appended. */
void text_escape_url(struct buf *out, struct slice text);
