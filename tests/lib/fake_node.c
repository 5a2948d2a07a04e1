#include "fake_node.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWERS_MAX = 64, UNASKED_S = 120 };

/* A whole request: its head, and as much as its Content-Length says. */
static void hear(int conn, int heard_fd)
{
    char request[16 * 1024];
    size_t len = 0, whole = SIZE_MAX;
    while (len < whole && len < sizeof request - 1) {
        ssize_t got = read(conn, request + len, sizeof request - 1 - len);
        if (got <= 0) break;
        len += (size_t)got;
        request[len] = '\0';
        const char *end = strstr(request, "\r\n\r\n"), *field = strstr(request, "Content-Length: ");
        if (end == NULL) continue;
        whole = (size_t)(end - request) + 4;
        if (field != NULL && field < end) whole += strtoul(field + 16, NULL, 10);
    }
    if (write(heard_fd, request, len) != (ssize_t)len) _exit(1);
}

static void serve(int listener, int heard_fd, const struct fake_answer *answers, size_t count)
{
    alarm(UNASKED_S); /* whoever was to ask does not: the test fails, and does not hang */
    for (size_t i = 0; i < count; i++) {
        int conn = accept(listener, NULL, NULL);
        if (conn < 0) _exit(1);
        hear(conn, heard_fd);
        for (size_t sent = 0; sent < answers[i].len;) {
            ssize_t part = write(conn, answers[i].at + sent, answers[i].len - sent);
            if (part < 0) _exit(1);
            sent += (size_t)part;
        }
        close(conn);
    }
    _exit(0);
}

void fake_node_start(struct fake_node *node, const struct fake_answer *answers,
                     size_t answers_count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int heard[2];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pipe(heard), 0);
    *node = (struct fake_node){.port = ntohs(address.sin_port), .heard_fd = heard[0]};
    fflush(NULL);
    node->child = fork();
    assert_true(node->child >= 0);
    if (node->child == 0) serve(listener, heard[1], answers, answers_count);
    close(listener);
    close(heard[1]);
}

void fake_node_say(struct fake_node *node, const char *const *answers)
{
    struct fake_answer texts[ANSWERS_MAX];
    size_t count = 0;
    for (; answers[count] != NULL; count++) {
        assert_true(count < ANSWERS_MAX);
        texts[count] = (struct fake_answer){answers[count], strlen(answers[count])};
    }
    fake_node_start(node, texts, count);
}

void fake_node_stop(struct fake_node *node)
{
    int status;
    size_t len = 0;
    ssize_t got;
    while ((got = read(node->heard_fd, node->heard + len, sizeof node->heard - 1 - len)) > 0)
        len += (size_t)got;
    close(node->heard_fd);
    assert_int_equal(waitpid(node->child, &status, 0), node->child);
    assert_int_equal(status, 0);
}
