/* A WebSocket server that says everything back: the frame code of the program without the program,
 * for tests/e2e/ws_cases.mjs.
 *
 *     echo_server [MESSAGE_MAX]
 *
 * Prints the port that it got on 127.0.0.1, and ends with the end of its standard input. Text and
 * binary messages come back as they were; without MESSAGE_MAX (bytes) the limit is that of the program.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "base/limits.h"
#include "web/conn.h"
#include "web/listener.h"

enum { TEXT_FRAME = 0x81, BINARY_FRAME = 0x82 }; /* first bytes of whole ones */

struct echo {
    uv_loop_t loop;
    uv_pipe_t input;
    struct conn_server *server;
    struct listener *listener;
    char ignored[64];
};

static void on_request(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    http_respond_text(conn, 404, request->path);
}

static int on_upgrade(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    (void)conn;
    (void)request;
    return 0;
}

static void say(struct conn *conn, uint8_t first, struct slice payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_text_head(head, payload.len);
    struct shared *frame = shared_new(head_len + payload.len);

    head[0] = first;
    memcpy(frame->bytes, head, head_len);
    if (payload.len > 0) memcpy(frame->bytes + head_len, payload.at, payload.len);
    conn_joined(conn);
    conn_send(conn, frame);
    shared_unref(frame);
}

static void on_message(void *owner, struct conn *conn, struct slice text)
{
    (void)owner;
    say(conn, TEXT_FRAME, text);
}

static void on_binary(void *owner, struct conn *conn, struct slice bytes)
{
    (void)owner;
    say(conn, BINARY_FRAME, bytes);
}

static void on_closed(void *owner, struct conn *conn, enum conn_end end)
{
    (void)owner;
    (void)conn;
    (void)end;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct echo *echo = handle->data;

    (void)suggested;
    *buf = uv_buf_init(echo->ignored, sizeof echo->ignored);
}

/* Nobody wants us any more. */
static void on_input(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct echo *echo = stream->data;

    (void)buf;
    if (count >= 0) return;
    uv_close((uv_handle_t *)stream, NULL);
    listener_stop(echo->listener, NULL, NULL);
    conn_server_stop(echo->server, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct echo echo = {.server = NULL};
    struct errmsg errmsg;
    size_t message_max = argc > 1 ? strtoul(argv[1], NULL, 10) : WS_MESSAGE_MAX;

    (void)signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&echo.loop);
    echo.server = conn_server_new(&(struct conn_server_options){
        .loop = &echo.loop,
        .handler = {.owner = &echo,
                    .on_request = on_request,
                    .on_upgrade = on_upgrade,
                    .on_message = on_message,
                    .on_binary = on_binary,
                    .on_closed = on_closed},
        .limits = {.message_max = message_max, .out_max = CONN_OUT_MAX + message_max}});
    if (listener_start(&echo.listener,
                       &(struct listen_options){
                           .loop = &echo.loop, .server = echo.server, .address = "127.0.0.1:0"},
                       &errmsg) != 0) {
        fprintf(stderr, "echo_server: %s\n", errmsg.text);
        return 1;
    }
    uv_pipe_init(&echo.loop, &echo.input, 0);
    echo.input.data = &echo;
    uv_pipe_open(&echo.input, 0);
    uv_read_start((uv_stream_t *)&echo.input, on_alloc, on_input);
    printf("%d\n", listener_port(echo.listener));
    fflush(stdout);
    uv_run(&echo.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&echo.loop) == 0 ? 0 : 1;
}
