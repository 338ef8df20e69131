/*
 * Load for a TCP echo server on 127.0.0.1, and a check of every byte that it sends back.
 *
 *   tcp_load [-c CLIENTS] [-s BYTES] [-d SECONDS] [-w SECONDS] [-T SECONDS] [-t lines|upper] [-i] PORT
 *
 * All clients connect at once, and start together when the last is in. Each sends a message, waits for its reply, and sends the next
 * (a closed loop), for -d seconds; -d 0: until SIGINT or SIGTERM. Then no more is sent, and who still waits for a reply gets -T
 * seconds (5) for it. A server that ends earlier ends this, too.
 *
 * -i: each sends one message and then keeps its connection open and silent. They come a few at a time: what is asked is what they
 * cost, not whether the backlog holds them all. When all are silent, {"idle":CLIENTS} is printed.
 *
 * The last line of stdout is one JSON object: times, and what went wrong.
 *
 *   refused     clients that could not connect
 *   corrupt     replies with a wrong byte
 *   cut         connections that the server ended with a reply outstanding
 *   closed      connections that the server ended with none outstanding
 *   unanswered  replies that had not come when time was up
 *
 * Exit code: 0, or 1 if any of these is not 0.
 */
#define _GNU_SOURCE
#include "load.h"

#include <netinet/tcp.h>

enum { BURST = 64 };

enum state { CONNECTING, READY, WAITING, DONE };

struct client {
  int fd;
  enum state state;
  uint64_t number;        /* of the message on its way: that of the client above, a count below */
  size_t sent, received;  /* bytes of it */
  int is_blocked;         /* the rest of it waits for room */
  int64_t started_ns;
  char *message, *reply;
};

static const char USAGE[] =
    "tcp_load [-c CLIENTS] [-s BYTES] [-d SECONDS] [-w SECONDS] [-T SECONDS] [-t lines|upper] [-i] PORT";
static struct client *clients;
static char *received;
static int epoll_fd;
static unsigned refused, corrupt, cut, closed, unanswered;
static int started_count, connecting, open_count, silent_count, is_stopping;

static void watch(struct client *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(epoll_fd, operation, client->fd, &event) < 0) fail("epoll_ctl");
}

static void end(struct client *client, unsigned *counter) {
  if (counter != NULL) (*counter)++;
  if (load.is_idle && client->state == READY) silent_count--;
  close(client->fd);
  client->state = DONE;
  open_count--;
}

/* The server has ended the connection. */
static void lose(struct client *client) { end(client, client->state == WAITING ? &cut : &closed); }

static void start(struct client *client) {
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket");
  int on = 1;
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  client->message = malloc(load.messages.size);
  client->reply = load.messages.is_upper ? malloc(load.messages.size) : client->message;
  if (client->message == NULL || client->reply == NULL) fail("malloc");
  client->number = (uint64_t)(client - clients) << 40;
  connecting++, open_count++;
  if (connect(client->fd, (struct sockaddr *)&load.address, sizeof load.address) < 0 && errno != EINPROGRESS) {
    connecting--;
    return end(client, &refused);
  }
  watch(client, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Sends what is left of the message; the rest goes when there is room. */
static void push(struct client *client) {
  size_t left = load.messages.size - client->sent;
  ssize_t sent = send(client->fd, client->message + client->sent, left, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return lose(client);
  if (sent > 0) client->sent += sent;
  int is_blocked = client->sent < load.messages.size;
  if (is_blocked == client->is_blocked) return;
  client->is_blocked = is_blocked;
  watch(client, EPOLL_CTL_MOD, is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void next(struct client *client) {
  client->number++;
  message_write(&load.messages, client->number, client->message);
  if (load.messages.is_upper) message_reply(&load.messages, client->message, client->reply);
  client->sent = client->received = 0;
  if (load.is_idle) silent_count--;
  client->state = WAITING;
  client->started_ns = now_ns();
  push(client);
}

/* Starts those that are to come now: all at once, or a few with -i. */
static void admit(void) {
  while (started_count < load.clients && (!load.is_idle || open_count - silent_count < BURST)) {
    start(&clients[started_count++]);
  }
}

static void on_connected(struct client *client) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  connecting--;
  if (error != 0) return end(client, &refused);
  client->state = READY;
  watch(client, EPOLL_CTL_MOD, EPOLLIN);
  if (load.is_idle) silent_count++, next(client);
}

static void pull(struct client *client) {
  // With none outstanding nothing may come but the end.
  size_t left = client->state == WAITING ? load.messages.size - client->received : 1;
  ssize_t got = recv(client->fd, received, left, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return lose(client);
  if (client->state != WAITING || memcmp(received, client->reply + client->received, got) != 0) {
    return end(client, &corrupt);
  }
  client->received += got;
  if (client->received < load.messages.size) return;
  histogram_record(&load.times, now_ns() - client->started_ns);
  if (is_stopping) return end(client, NULL);
  if (!load.is_idle) return next(client);
  client->state = READY;
  silent_count++;
}

static void handle(const struct epoll_event *event) {
  struct client *client = event->data.ptr;
  if (client->state == CONNECTING) return on_connected(client);
  if (client->state == WAITING && client->is_blocked && event->events & EPOLLOUT) push(client);
  if (client->state != DONE && event->events & ~EPOLLOUT) pull(client);
}

/* Waits for what happens next, for a moment. */
static void turn(void) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll_fd, events, EVENTS, TICK_MS);
  for (int i = 0; i < count; i++) handle(&events[i]);
}

/* No more is sent; who waits for no reply is done. */
static void stop_all(void) {
  is_stopping = 1;
  for (int i = 0; i < load.clients; i++) {
    if (clients[i].state == READY) end(&clients[i], NULL);
  }
}

int main(int argc, char **argv) {
  load_options(argc, argv, USAGE);
  epoll_fd = epoll_create1(0);
  clients = calloc(load.clients, sizeof *clients);
  received = malloc(load.messages.size);
  if (clients == NULL || received == NULL) fail("malloc");
  do {
    admit();
    turn();
  } while ((started_count < load.clients || connecting > 0) && !stop);

  for (int i = 0; i < load.clients && !load.is_idle; i++) {
    if (clients[i].state == READY) next(&clients[i]);
  }
  while (load.is_idle && silent_count < open_count && !stop) turn();
  if (load.is_idle) printf("{\"idle\":%d}\n", silent_count), fflush(stdout);
  int64_t started_ns = now_ns(), warm_ns = started_ns + load.warm_up_ns, ended_ns;
  int64_t ends_ns = load.duration_ns == 0 ? INT64_MAX : warm_ns + load.duration_ns;
  for (; (ended_ns = now_ns()) < ends_ns && !stop && open_count > 0; turn()) {
    if (ended_ns < warm_ns || started_ns == warm_ns) continue;
    started_ns = warm_ns = ended_ns;
    load.times = (struct histogram){0};
  }

  // The replies that are still to come are checked, and not counted.
  struct histogram counted = load.times;
  stop_all();
  for (int64_t patience_ns = ended_ns + load.timeout_ns; open_count > 0 && now_ns() < patience_ns;) turn();
  unanswered = open_count;
  load.times = counted;
  print_times(ended_ns - started_ns);
  printf("\"clients\":%d,\"refused\":%u,\"corrupt\":%u,\"cut\":%u,\"closed\":%u,\"unanswered\":%u}\n", load.clients,
         refused, corrupt, cut, closed, unanswered);
  return refused + corrupt + cut + closed + unanswered > 0;
}
