/* The queue of one connection: pieces, frames, and what may still be dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "web/out.h"

static void push(struct out *out, const char *text, bool ends_frame)
{
    out_push(out, shared_copy(slice_from(text)), ends_frame);
}

/* All that is inside, as it would be sent. */
static void gather(const struct out *out, struct buf *text, bool one_frame)
{
    uv_buf_t bufs[64];
    unsigned count = out_fill(out, bufs, 64, one_frame);

    buf_reset(text);
    for (unsigned i = 0; i < count; i++)
        buf_append(text, bufs[i].base, bufs[i].len);
}

static void pieces_leave_in_their_order_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 11; step++) {
        struct out out;
        struct buf text;
        unsigned frames = 0;

        out_init(&out);
        buf_init(&text, 1000);
        for (int i = 0; i < 3; i++) {
            push(&out, "head", false);
            push(&out, "", false);
            push(&out, "body", true);
            push(&out, "one", true);
        }
        assert_int_equal(out.bytes, 33);
        assert_int_equal(out.frames, 6);
        gather(&out, &text, false);
        assert_true(slice_is(buf_slice(&text), "headbodyoneheadbodyoneheadbodyone"));
        gather(&out, &text, true);
        assert_true(slice_is(buf_slice(&text), "headbody"));
        for (size_t sent = 0; sent < 33; sent += step) {
            frames += out_advance(&out, 33 - sent < step ? 33 - sent : step);
        }
        assert_int_equal(frames, 6);
        assert_int_equal(out.count, 0);
        assert_int_equal(out.bytes, 0);
        assert_ptr_equal(out.slots, out.few); /* an array that it needed is gone */
        out_close(&out);
        buf_close(&text);
    }
}

static void only_what_was_begun_survives_a_cut(void **state)
{
    static const struct {
        size_t sent;
        bool is_pinned;
        const char *left;
    } table[] = {
        {0, false, ""},   {0, true, "headbody"}, {2, false, "adbody"}, {4, false, "body"},
        {6, false, "dy"}, {8, false, ""},        {9, false, "ne"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct out out;
        struct buf text;

        out_init(&out);
        buf_init(&text, 1000);
        push(&out, "head", false);
        push(&out, "body", true);
        push(&out, "one", true);
        for (int j = 0; j < 20; j++)
            push(&out, "more", true);
        (void)out_advance(&out, table[i].sent);
        out_cut(&out, table[i].is_pinned);
        gather(&out, &text, false);
        assert_true(slice_is(buf_slice(&text), table[i].left));
        assert_int_equal(out.bytes, strlen(table[i].left));
        assert_int_equal(out.frames, table[i].left[0] != '\0' ? 1 : 0);
        push(&out, "close", true);
        gather(&out, &text, false);
        assert_int_equal(text.len, strlen(table[i].left) + 5);
        out_close(&out);
        buf_close(&text);
    }
}

static void a_shared_piece_is_let_go_once_by_each(void **state)
{
    struct shared *piece = shared_copy(slice_of("tea"));
    struct out outs[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        out_init(&outs[i]);
        for (int j = 0; j < 10; j++)
            out_push(&outs[i], shared_ref(piece), true);
    }
    assert_int_equal(atomic_load(&piece->references), 31);
    (void)out_advance(&outs[0], 30);
    out_cut(&outs[1], false);
    out_close(&outs[2]);
    assert_int_equal(atomic_load(&piece->references), 1);
    shared_unref(piece);
    for (int i = 0; i < 3; i++)
        out_close(&outs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_leave_in_their_order_however_they_are_cut),
        cmocka_unit_test(only_what_was_begun_survives_a_cut),
        cmocka_unit_test(a_shared_piece_is_let_go_once_by_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
