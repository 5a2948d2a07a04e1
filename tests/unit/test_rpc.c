/* Links between nodes, and who gets none: the handshake, frames, limits. All over loopback, in one
 * loop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cluster/beat.h"
#include "cluster/rpc.h"
#include "cluster/wire.h"

struct end { /* one node's half */
    struct transport *transport;
    struct rpc *rpc;
    uint64_t id;
    char self[64];
    unsigned frames, links, asked;
    uint64_t last_id;
    uint8_t last_type;
    size_t last_len;
    int answer; /* of on_frame */
    bool is_closed;
};

static uv_loop_t loop;
static struct end a, b;

static bool may_link(void *owner, enum link_kind kind, uint64_t id)
{
    (void)owner;
    (void)kind;
    return id == 1 || id == 2;
}

static void on_link(void *owner, uint64_t id, uv_stream_t *stream)
{
    struct end *end = owner;
    end->links++;
    rpc_accept(end->rpc, id, stream);
}

static void on_ask(void *owner, uv_stream_t *stream)
{
    struct end *end = owner;
    end->asked++;
    transport_close_stream(stream);
}

static int on_frame(void *owner, const struct rpc_frame *frame)
{
    struct end *end = owner;
    end->frames++;
    end->last_id = frame->id;
    end->last_type = frame->type;
    end->last_len = frame->body.len;
    return end->answer;
}

static void on_link_state(void *owner, uint64_t peer)
{
    (void)owner;
    (void)peer;
}

static void open_end(struct end *end, uint64_t id, const char *secret, uint8_t cluster)
{
    struct errmsg errmsg;
    *end = (struct end){.id = id};
    struct transport_options options = {.loop = &loop,
                                        .listen = "127.0.0.1:0",
                                        .self = end->self,
                                        .id = id,
                                        .secret = slice_from(secret),
                                        .owner = end,
                                        .may_link = may_link,
                                        .on_link = on_link,
                                        .on_ask = on_ask};
    memset(options.cluster, cluster, sizeof options.cluster);
    assert_int_equal(transport_open(&end->transport, &options, &errmsg), 0);
    snprintf(end->self, sizeof end->self, "n%d=127.0.0.1:%d", (int)id,
             transport_port(end->transport));
    end->rpc = rpc_new(
        &loop, end->transport,
        &(struct rpc_handler){.owner = end, .on_frame = on_frame, .on_link = on_link_state});
}

static void on_transport_closed(void *owner)
{
    struct end *end = owner;
    end->is_closed = true;
}

static void on_rpc_stopped(void *owner)
{
    struct end *end = owner;
    transport_close(end->transport, on_transport_closed, end);
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(uv_loop_init(&loop), 0);
    open_end(&a, 1, "a shared secret of thirty-two bytes", 7);
    open_end(&b, 2, "a shared secret of thirty-two bytes", 7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpc_stop(a.rpc, on_rpc_stopped, &a);
    rpc_stop(b.rpc, on_rpc_stopped, &b);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(a.is_closed && b.is_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

static bool is_up(struct end *end, uint64_t peer)
{
    struct rpc_peer_status status;
    return rpc_peer_status(end->rpc, peer, &status) && status.is_up;
}

static void connect_both(void)
{
    rpc_add_peer(a.rpc, 2, b.self);
    rpc_add_peer(b.rpc, 1, a.self);
    while (!is_up(&a, 2) || !is_up(&b, 1) || a.links == 0 || b.links == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

static void frames_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static char body[300 * 1024];
    connect_both();
    for (uint64_t i = 1; i <= 50; i++) {
        size_t len = i % 7 == 0 ? sizeof body : (size_t)i;
        assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, i, slice_make(body, len)), 0);
    }
    while (b.frames < 50)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(b.last_id, 50);
    assert_int_equal(b.last_len, 50);
    assert_int_equal(b.last_type, RPC_BEAT);
    assert_int_equal(a.frames, 0);
}

/* Most systems know localhost by two addresses; we listen on one of them. */
static void all_addresses_of_a_name_are_tried(void **state)
{
    (void)state;
    char address[64];
    snprintf(address, sizeof address, "n2=localhost:%d", transport_port(b.transport));
    rpc_add_peer(a.rpc, 2, address);
    while (!is_up(&a, 2))
        uv_run(&loop, UV_RUN_ONCE);
}

static void without_a_link_a_frame_is_refused(void **state)
{
    (void)state;
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 1, slice_of("x")), ERR_CLOSED);
    rpc_add_peer(a.rpc, 2, b.self);
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 1, slice_of("x")), ERR_CLOSED);
}

static void a_node_that_does_not_read_is_cut_off(void **state)
{
    (void)state;
    static char body[1024 * 1024];
    connect_both();
    int rv = 0;
    for (int i = 0; i < 100 && rv == 0; i++) {
        rv = rpc_send(a.rpc, 2, RPC_PRESENCE, 0, slice_make(body, sizeof body));
    }
    assert_int_equal(rv, ERR_FULL);
    assert_false(is_up(&a, 2));
}

static void a_peer_that_is_removed_has_no_links(void **state)
{
    (void)state;
    static char body[1024 * 1024];
    struct rpc_peer_status status;
    connect_both();
    for (int i = 0; i < 8; i++) /* more than goes out at once: some are still on their way */
        assert_int_equal(rpc_send(a.rpc, 2, RPC_PRESENCE, 0, slice_make(body, sizeof body)), 0);
    rpc_remove_peer(a.rpc, 2);
    rpc_remove_peer(a.rpc, 2);
    assert_false(rpc_peer_status(a.rpc, 2, &status));
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 1, slice_of("x")), ERR_CLOSED);
    while (is_up(&b, 1)) /* the link that b had to it was closed as well */
        uv_run(&loop, UV_RUN_ONCE);
    rpc_add_peer(a.rpc, 2, b.self);
    while (!is_up(&a, 2) || !is_up(&b, 1))
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 7, slice_of("x")), 0);
    while (b.last_id != 7)
        uv_run(&loop, UV_RUN_ONCE);
}

static void a_peer_may_be_removed_while_it_is_dialed(void **state)
{
    (void)state;
    struct rpc_peer_status status;
    rpc_add_peer(a.rpc, 2, b.self);
    rpc_remove_peer(a.rpc, 2);
    rpc_add_peer(a.rpc, 9, "nobody=127.0.0.1:1");
    do {
        uv_run(&loop, UV_RUN_ONCE);
        assert_true(rpc_peer_status(a.rpc, 9, &status));
    } while (!status.is_refused); /* it waits to be dialed again */
    rpc_remove_peer(a.rpc, 9);
    assert_int_equal(b.links, 0);
}

static void a_damaged_body_closes_the_link_and_it_is_dialed_again(void **state)
{
    (void)state;
    connect_both();
    b.answer = ERR_FORMAT;
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 1, slice_of("x")), 0);
    while (is_up(&a, 2))
        uv_run(&loop, UV_RUN_ONCE);
    b.answer = 0;
    while (!is_up(&a, 2))
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(rpc_send(a.rpc, 2, RPC_BEAT, 2, slice_of("x")), 0);
    while (b.last_id != 2)
        uv_run(&loop, UV_RUN_ONCE);
}

/* ---- a stranger's hand on the wire ---- */

struct stranger {
    uv_tcp_t tcp;
    uv_connect_t connect;
    char in[512];
    size_t got;
    bool is_connected, is_over, handle_closed;
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct stranger *stranger = handle->data;
    (void)suggested;
    *out =
        uv_buf_init(stranger->in + stranger->got, (unsigned)(sizeof stranger->in - stranger->got));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct stranger *stranger = stream->data;
    (void)buf;
    if (count > 0) stranger->got += (size_t)count;
    if (count < 0) stranger->is_over = true;
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct stranger *stranger = connect->handle->data;
    assert_int_equal(status, 0);
    stranger->is_connected = true;
    uv_read_start((uv_stream_t *)&stranger->tcp, on_alloc, on_read);
}

static void call(struct stranger *stranger)
{
    struct sockaddr_in address;
    *stranger = (struct stranger){.got = 0};
    uv_tcp_init(&loop, &stranger->tcp);
    stranger->tcp.data = stranger;
    uv_ip4_addr("127.0.0.1", transport_port(b.transport), &address);
    assert_int_equal(uv_tcp_connect(&stranger->connect, &stranger->tcp,
                                    (const struct sockaddr *)&address, on_connected),
                     0);
    while (!stranger->is_connected)
        uv_run(&loop, UV_RUN_ONCE);
}

static void say(struct stranger *stranger, const void *bytes, size_t len)
{
    char copy[8192];
    assert_true(len <= sizeof copy);
    memcpy(copy, bytes, len);
    uv_buf_t part = uv_buf_init(copy, (unsigned)len);
    assert_int_equal(uv_try_write((uv_stream_t *)&stranger->tcp, &part, 1), (int)len);
}

static void on_stranger_closed(uv_handle_t *handle)
{
    struct stranger *stranger = handle->data;
    stranger->handle_closed = true;
}

static void leave(struct stranger *stranger)
{
    uv_close((uv_handle_t *)&stranger->tcp, on_stranger_closed);
    while (!stranger->handle_closed)
        uv_run(&loop, UV_RUN_ONCE);
}

static void make_hello(uint8_t hello[384])
{
    memset(hello, 0, 384);
    memcpy(hello, "LVTEAC01", 8);
    hello[8] = LINK_RPC;
    memset(hello + 16, 7, 16);
    little_store(hello + 32, 1, 8);
    little_store(hello + 40, 2, 8);
    memset(hello + 48, 3, 32);
    memcpy(hello + 80, "n1=127.0.0.1:1", 14);
}

static void prove(uint8_t out[32], const char *secret, const char *side, const uint8_t hello[384],
                  const char *challenge, size_t len)
{
    struct slice parts[] = {slice_from(side), slice_make(hello, 384), slice_make(challenge, len)};
    crypto_hmac(out, slice_from(secret), parts, 3);
}

static void expect_refusal(const uint8_t hello[384])
{
    struct stranger stranger;
    call(&stranger);
    say(&stranger, hello, 384);
    while (!stranger.is_over)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(stranger.got, 0); /* not a word */
    leave(&stranger);
}

static void who_is_no_member_of_this_cluster_is_closed_without_a_word(void **state)
{
    (void)state;
    uint8_t hello[384];
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 'X'}, {8, 0}, {8, 9}, {16, 8}, {32, 3}, {32, 2}, {40, 3}, {383, 'x'}, {80, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make_hello(hello);
        hello[wrong[i].at] = wrong[i].value;
        expect_refusal(hello);
    }
    assert_int_equal(b.links, 0);
}

/* On a machine that was busy for so long what is said comes too late, and is closed for that. */
static bool was_late(uint64_t begun_ns)
{
    return uv_hrtime() - begun_ns >= LINK_DEADLINE_MS * UINT64_C(1000000);
}

/* Calls, and says hello until there is a challenge. Returns when it has begun. */
static uint64_t call_and_say_hello(struct stranger *stranger, const uint8_t hello[384])
{
    for (;;) {
        uint64_t begun_ns = uv_hrtime();
        call(stranger);
        say(stranger, hello, 384);
        while (stranger->got < 64 && !stranger->is_over)
            uv_run(&loop, UV_RUN_ONCE);
        if (stranger->got == 64) return begun_ns;
        assert_true(was_late(begun_ns));
        leave(stranger);
    }
}

/* Speaks the client's part with this secret; true if the server let it in. */
static bool shake_once(struct stranger *stranger, const uint8_t hello[384], const char *secret,
                       bool *is_late)
{
    uint8_t proof[32];
    unsigned links = b.links, asked = b.asked;
    uint64_t begun_ns = call_and_say_hello(stranger, hello);
    prove(proof, "a shared secret of thirty-two bytes", "srv", hello, stranger->in, 32);
    assert_memory_equal(proof, stranger->in + 32, 32); /* the server knows it */
    prove(proof, secret, "cli", hello, stranger->in, 64);
    say(stranger, proof, sizeof proof);
    while (!stranger->is_over && b.links == links && b.asked == asked)
        uv_run(&loop, UV_RUN_ONCE);
    *is_late = was_late(begun_ns);
    return b.links > links || b.asked > asked;
}

static bool shake_with(struct stranger *stranger, const uint8_t hello[384], const char *secret)
{
    for (;;) {
        bool is_late;
        if (shake_once(stranger, hello, secret, &is_late)) return true;
        if (!is_late) return false;
        leave(stranger);
    }
}

static bool shake(struct stranger *stranger, const char *secret)
{
    uint8_t hello[384];
    make_hello(hello);
    return shake_with(stranger, hello, secret);
}

static void who_does_not_know_the_secret_is_closed(void **state)
{
    (void)state;
    struct stranger stranger;
    assert_false(shake(&stranger, "a guess of thirty-two bytes, or so"));
    leave(&stranger);
}

static void whoever_knows_the_secret_may_ask(void **state)
{
    (void)state;
    struct stranger stranger;
    uint8_t hello[384];
    make_hello(hello);
    hello[8] = LINK_ASK;
    memset(hello + 16, 0, 16); /* no cluster yet, */
    hello[32] = 99;            /* no member, */
    hello[40] = 0;             /* and asks whoever it is */
    assert_false(shake_with(&stranger, hello, "a guess of thirty-two bytes, or so"));
    leave(&stranger);
    assert_true(shake_with(&stranger, hello, "a shared secret of thirty-two bytes"));
    leave(&stranger);
    assert_int_equal(b.asked, 1);
    assert_int_equal(b.links, 0);
    hello[383] = 'x'; /* an address without an end */
    expect_refusal(hello);
}

static void without_a_cluster_only_questions_are_taken(void **state)
{
    (void)state;
    static const uint8_t none[16], seven[16] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
    struct stranger stranger;
    uint8_t hello[384];
    rpc_add_peer(b.rpc, 1, a.self);
    transport_set_cluster(b.transport, none);
    make_hello(hello);
    expect_refusal(hello);
    memset(hello + 16, 0, 16);
    expect_refusal(hello); /* nor is it of a cluster that has no id */
    hello[8] = LINK_ASK;
    assert_true(shake_with(&stranger, hello, "a shared secret of thirty-two bytes"));
    leave(&stranger);
    transport_set_cluster(b.transport, seven);
    assert_true(shake(&stranger, "a shared secret of thirty-two bytes"));
    leave(&stranger);
}

static void a_recorded_session_cannot_be_played_again(void **state)
{
    (void)state;
    struct stranger stranger;
    uint8_t hello[384], proof[32];
    rpc_add_peer(b.rpc, 1, a.self);
    assert_true(shake(&stranger, "a shared secret of thirty-two bytes"));
    make_hello(hello);
    prove(proof, "a shared secret of thirty-two bytes", "cli", hello, stranger.in, 64);
    leave(&stranger);
    unsigned links = b.links;
    (void)call_and_say_hello(&stranger, hello);
    say(&stranger, proof, sizeof proof);
    while (!stranger.is_over)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(b.links, links);
    leave(&stranger);
}

/* With a link that is open: frames that are no frames. */
static void expect_closed(const void *bytes, size_t len)
{
    struct stranger stranger;
    assert_true(shake(&stranger, "a shared secret of thirty-two bytes"));
    say(&stranger, bytes, len);
    while (!stranger.is_over)
        uv_run(&loop, UV_RUN_ONCE);
    leave(&stranger);
}

static void frames_of_impossible_lengths_close_the_link(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 8, RPC_FRAME_MAX + 1, 0x7fffffff, 0xffffffff};
    rpc_add_peer(b.rpc, 1, a.self);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t head[13] = {0};
        little_store(head, lengths[i], 4);
        expect_closed(head, sizeof head);
    }
    assert_int_equal(b.frames, 0);
}

static void a_frame_cut_at_any_byte_is_no_frame(void **state)
{
    (void)state;
    uint8_t frame[4 + 1 + 8 + 3] = {12, 0, 0, 0, RPC_BEAT, 1, 0, 0, 0, 0, 0, 0, 0, 'x', 'y', 'z'};
    rpc_add_peer(b.rpc, 1, a.self);
    for (size_t len = 0; len <= sizeof frame; len++) {
        struct stranger stranger;
        unsigned before = b.frames;
        assert_true(shake(&stranger, "a shared secret of thirty-two bytes"));
        if (len > 0) say(&stranger, frame, len);
        leave(&stranger);
        struct rpc_peer_status status;
        do {
            uv_run(&loop, UV_RUN_NOWAIT);
            rpc_peer_status(b.rpc, 1, &status);
        } while (status.is_heard);
        assert_int_equal(b.frames - before, len == sizeof frame ? 1 : 0);
    }
}

static void for_one_more_than_may_be_in_the_middle_of_a_handshake_the_oldest_goes(void **state)
{
    (void)state;
    static struct stranger strangers[LINK_HALF_OPEN_MAX + 1];
    rpc_add_peer(b.rpc, 1, a.self);
    uint64_t begun_ns = uv_hrtime();
    for (size_t i = 0; i < LINK_HALF_OPEN_MAX; i++)
        call(&strangers[i]);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(!strangers[0].is_over || was_late(begun_ns));
    call(&strangers[LINK_HALF_OPEN_MAX]);
    while (!strangers[0].is_over)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(!strangers[1].is_over || was_late(begun_ns));
    assert_true(!strangers[LINK_HALF_OPEN_MAX].is_over || was_late(begun_ns));
    struct stranger member;
    assert_true(shake(&member, "a shared secret of thirty-two bytes"));
    leave(&member);
    for (size_t i = 0; i <= LINK_HALF_OPEN_MAX; i++)
        leave(&strangers[i]);
}

static void who_says_nothing_is_closed_at_the_deadline(void **state)
{
    (void)state;
    struct stranger stranger;
    call(&stranger);
    say(&stranger, "LVTEAC01", 8);
    while (!stranger.is_over)
        uv_run(&loop, UV_RUN_ONCE);
    leave(&stranger);
}

/* ---- beats ---- */

static void a_beat_says_what_it_was_given(void **state)
{
    (void)state;
    struct beats beats = {.count = 0};
    struct neighbour *there = beats_add(&beats, 2, "tea-2", "h:2", 0);
    struct neighbour *here = beats_add(&beats, 1, "tea-1", "h:1", 0);
    struct beat mine = {.number = 5,
                        .applied_index = 9,
                        .term = 3,
                        .leader = 2,
                        .state = 3,
                        .flags = BEAT_READY,
                        .browsers = 77,
                        .disk_bytes = 1u << 20,
                        .uptime_ms = 4,
                        .version = "0.1.0",
                        .http = "http://h:4000"};
    struct buf buf;
    buf_init(&buf, 4096);
    beat_encode(&buf, &mine, there, 1000000);
    assert_int_equal(beat_decode(here, buf_slice(&buf), 5000000), 0);
    assert_int_equal(here->last.number, 5);
    assert_int_equal(here->last.browsers, 77);
    assert_string_equal(here->last.http, "http://h:4000");
    assert_true(here->rtt_ms != here->rtt_ms); /* nothing was echoed yet */
    buf_reset(&buf);
    beat_encode(&buf, &mine, here, 7000000); /* lay there for 2 ms */
    assert_int_equal(beat_decode(there, buf_slice(&buf), 4000000), 0);
    assert_true(there->rtt_ms > 0.999 && there->rtt_ms < 1.001);
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(beat_decode(there, slice_make(buf.at, len), 1), ERR_FORMAT);
    }
    mine.version[0] = '\xff'; /* no text: it would stand in /status */
    buf_reset(&buf);
    beat_encode(&buf, &mine, there, 7000000);
    assert_int_equal(beat_decode(there, buf_slice(&buf), 4000000), ERR_FORMAT);
    assert_false(neighbour_silent(there, false, 4 + BEAT_AWAY_MS - 1));
    assert_true(neighbour_silent(there, false, 4 + BEAT_AWAY_MS));
    assert_true(neighbour_silent(there, true, 4));
    buf_close(&buf);
}

static void a_neighbour_that_is_removed_is_not_known(void **state)
{
    (void)state;
    struct beats beats = {.count = 0};
    beats_add(&beats, 1, "tea-1", "h:1", 0);
    beats_add(&beats, 2, "tea-2", "h:2", 0);
    beats_add(&beats, 3, "tea-3", "h:3", 0);
    beats_remove(&beats, 9);
    beats_remove(&beats, 2);
    assert_int_equal(beats.count, 2);
    assert_null(beats_find(&beats, 2));
    assert_string_equal(beats_find(&beats, 1)->name, "tea-1");
    assert_string_equal(beats_find(&beats, 3)->name, "tea-3");
    beats_remove(&beats, 3);
    beats_remove(&beats, 1);
    assert_int_equal(beats.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(frames_arrive_whole_and_in_order),
        TEST(all_addresses_of_a_name_are_tried),
        TEST(without_a_link_a_frame_is_refused),
        TEST(a_node_that_does_not_read_is_cut_off),
        TEST(a_peer_that_is_removed_has_no_links),
        TEST(a_peer_may_be_removed_while_it_is_dialed),
        TEST(a_damaged_body_closes_the_link_and_it_is_dialed_again),
        TEST(who_is_no_member_of_this_cluster_is_closed_without_a_word),
        TEST(who_does_not_know_the_secret_is_closed),
        TEST(whoever_knows_the_secret_may_ask),
        TEST(without_a_cluster_only_questions_are_taken),
        TEST(a_recorded_session_cannot_be_played_again),
        TEST(frames_of_impossible_lengths_close_the_link),
        TEST(a_frame_cut_at_any_byte_is_no_frame),
        TEST(for_one_more_than_may_be_in_the_middle_of_a_handshake_the_oldest_goes),
        TEST(who_says_nothing_is_closed_at_the_deadline),
        cmocka_unit_test(a_beat_says_what_it_was_given),
        cmocka_unit_test(a_neighbour_that_is_removed_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
