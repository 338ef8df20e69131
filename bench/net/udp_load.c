/*
 * Load for a UDP echo server on 127.0.0.1, and a check of every byte that it sends back.
 *
 *   udp_load [-c CLIENTS] [-s BYTES] [-d SECONDS] [-w SECONDS] [-T SECONDS] [-t lines|upper] PORT
 *
 * Each client has a socket of its own, sends a datagram, waits for its reply, and sends the next (a closed loop). After -T seconds
 * (0.2) without a reply the datagram counts as lost, and the next is sent. -d 0: until SIGINT or SIGTERM.
 *
 * The last line of stdout is one JSON object: times, and what went wrong. Only datagrams of 16 bytes or more carry the whole number
 * that tells the last two of these apart from a wrong byte.
 *
 *   lost        datagrams that got no reply in time
 *   corrupt     replies with a wrong byte
 *   late        replies to a datagram that counts as lost
 *   duplicated  replies that had come before
 *   errors      datagrams that could not be sent: nobody listens there
 *
 * Exit code: 0, or 1 if any of these is not 0.
 */
#define _GNU_SOURCE
#include "load.h"

struct client {
  int fd;
  int is_waiting;
  int was_answered;  /* the datagram before */
  uint64_t number;   /* of the datagram on its way: that of the client above, a count below */
  int64_t started_ns;
  char *message, *reply;
};

static const char USAGE[] =
    "udp_load [-c CLIENTS] [-s BYTES] [-d SECONDS] [-w SECONDS] [-T SECONDS] [-t lines|upper] PORT";
static struct client *clients;
static char received[65536];
static int epoll_fd;
static uint64_t sent, lost, corrupt, late, duplicated, errors;

static void start(struct client *client) {
  client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket");
  if (connect(client->fd, (struct sockaddr *)&load.address, sizeof load.address) < 0) fail("connect");
  client->message = malloc(load.messages.size);
  client->reply = load.messages.is_upper ? malloc(load.messages.size) : client->message;
  if (client->message == NULL || client->reply == NULL) fail("malloc");
  client->number = (uint64_t)(client - clients) << 40;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0) fail("epoll_ctl");
}

static void next(struct client *client) {
  client->number++;
  message_write(&load.messages, client->number, client->message);
  if (load.messages.is_upper) message_reply(&load.messages, client->message, client->reply);
  client->is_waiting = 1;
  client->started_ns = now_ns();
  sent++;
  // A refusal that came back for an earlier one is told here, and this one is not sent: it is lost in its turn.
  if (send(client->fd, client->message, load.messages.size, 0) < 0) errors++;
}

/* Counts a reply that is not the one that is waited for. */
static void blame(const struct client *client, ssize_t got) {
  uint64_t number = 0;
  int is_whole = got == (ssize_t)load.messages.size && got >= DIGITS;
  if (is_whole) number = message_number(&load.messages, received);
  if (number > 0 && number == client->number - client->is_waiting && client->was_answered) duplicated++;
  else if (number > 0 && number < client->number && number >> 40 == client->number >> 40) late++;
  else corrupt++;
}

static void pull(struct client *client) {
  ssize_t got = recv(client->fd, received, sizeof received, 0);
  if (got < 0) {
    if (errno != EAGAIN) errors++;
    return;
  }
  int is_due = client->is_waiting && got == (ssize_t)load.messages.size && memcmp(received, client->reply, got) == 0;
  if (!is_due) return blame(client, got);
  histogram_record(&load.times, now_ns() - client->started_ns);
  client->is_waiting = 0;
  client->was_answered = 1;
}

/* Gives up what has waited for too long; tells how many still wait. */
static int expire(int64_t now) {
  int waiting = 0;
  for (int i = 0; i < load.clients; i++) {
    struct client *client = &clients[i];
    if (client->is_waiting && now - client->started_ns > load.timeout_ns) {
      lost++;
      client->is_waiting = client->was_answered = 0;
    }
    waiting += client->is_waiting;
  }
  return waiting;
}

/* Handles what has come, and sends the next datagram of each client that waits for none, unless it is too late for that. */
static void turn(int is_stopping) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll_fd, events, EVENTS, TICK_MS);
  for (int i = 0; i < count; i++) {
    struct client *client = events[i].data.ptr;
    pull(client);
    if (!client->is_waiting && !is_stopping) next(client);
  }
}

int main(int argc, char **argv) {
  load.clients = 32;
  load.timeout_ns = 200000000;
  load_options(argc, argv, USAGE);
  epoll_fd = epoll_create1(0);
  clients = calloc(load.clients, sizeof *clients);
  if (clients == NULL) fail("calloc");
  for (int i = 0; i < load.clients; i++) start(&clients[i]);

  int64_t started_ns = now_ns(), warm_ns = started_ns + load.warm_up_ns, scanned_ns = 0, ended_ns;
  int64_t ends_ns = load.duration_ns == 0 ? INT64_MAX : warm_ns + load.duration_ns;
  for (; (ended_ns = now_ns()) < ends_ns && !stop; turn(0)) {
    if (ended_ns - scanned_ns > TICK_MS * 1000000) {
      scanned_ns = ended_ns;
      expire(ended_ns);
      for (int i = 0; i < load.clients; i++) {
        if (!clients[i].is_waiting) next(&clients[i]);
      }
    }
    if (ended_ns < warm_ns || started_ns == warm_ns) continue;
    started_ns = warm_ns = ended_ns;
    load.times = (struct histogram){0};
    sent = lost = corrupt = late = duplicated = errors = 0;
  }

  // The replies that are still to come are checked, and not counted.
  struct histogram counted = load.times;
  while (expire(now_ns()) > 0) turn(1);
  load.times = counted;
  print_times(ended_ns - started_ns);
  printf("\"clients\":%d,\"sent\":%llu,\"lost\":%llu,\"corrupt\":%llu,\"late\":%llu,\"duplicated\":%llu,\"errors\":%llu}\n",
         load.clients, (unsigned long long)sent, (unsigned long long)lost, (unsigned long long)corrupt,
         (unsigned long long)late, (unsigned long long)duplicated, (unsigned long long)errors);
  return lost + corrupt + late + duplicated + errors > 0;
}
