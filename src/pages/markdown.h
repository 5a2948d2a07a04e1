/* Message text to safe HTML. The door to md4c.
 *
 * Markdown without HTML: bold, italic, struck, code, fenced blocks, quotations, lists, links (http,
 * https and mailto only, else their text), @mentions. Headings become bold lines; images, tables and
 * HTML stay text; a soft break is a line break. Every text is escaped here, whatever md4c says it is:
 * no '<' of the input gets out. Bounded: nesting over 16 is flattened to text. Pure.
 */
#pragma once
#include "base/buf.h"

void markdown_html(struct buf *out, struct slice text);

/* "w-" and 4 hex digits of FNV-1a of the word in lower case: the class of an @mention. */
void markdown_word_class(struct buf *out, struct slice word);
