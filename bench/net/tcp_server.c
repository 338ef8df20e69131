/*
 * A TCP echo server on 127.0.0.1, in one thread with epoll: what one core can do, and the measure for conc tcp-echo serve.
 *
 *   tcp_server PORT
 *
 * What a client does not read is kept for it, at most one buffer, and no more is read from it meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 65536, EVENTS = 256 };

/* The rest of what a client sent and has not taken back yet; usually none. */
struct client {
  int fd;
  char *rest;
  size_t at, length;
};

static char buffer[BUFFER_SIZE];
static int epoll_fd;

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static void watch(struct client *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(epoll_fd, operation, client->fd, &event) < 0) fail("epoll_ctl");
}

static void end(struct client *client) {
  close(client->fd);
  free(client->rest);
  free(client);
}

static void welcome(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct client *client = calloc(1, sizeof *client);
  if (client == NULL) fail("calloc");
  client->fd = fd;
  watch(client, EPOLL_CTL_ADD, EPOLLIN);
}

/* Reads once and sends it back; what does not go out is kept. */
static void echo(struct client *client) {
  ssize_t got = recv(client->fd, buffer, sizeof buffer, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end(client);
  ssize_t sent = send(client->fd, buffer, got, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return end(client);
  if (sent < 0) sent = 0;
  if (sent == got) return;
  client->length = got - sent;
  client->at = 0;
  client->rest = malloc(client->length);
  if (client->rest == NULL) fail("malloc");
  memcpy(client->rest, buffer + sent, client->length);
  watch(client, EPOLL_CTL_MOD, EPOLLOUT);
}

/* Sends more of the rest; when it is gone, reads on. */
static void flush(struct client *client) {
  ssize_t sent = send(client->fd, client->rest + client->at, client->length - client->at, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return end(client);
  if (sent > 0) client->at += sent;
  if (client->at < client->length) return;
  free(client->rest);
  client->rest = NULL;
  watch(client, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (address.sin_port == 0) {
    fputs("usage: tcp_server PORT\n", stderr);
    return 2;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, SOMAXCONN) < 0) fail("listen");
  epoll_fd = epoll_create1(0);
  struct client door = {.fd = listener};
  watch(&door, EPOLL_CTL_ADD, EPOLLIN);
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct client *client = events[i].data.ptr;
      if (client == &door) welcome(listener);
      else if (client->rest != NULL) flush(client);
      else echo(client);
    }
  }
}
