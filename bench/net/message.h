/*
 * What is sent, and what must come back.
 *
 * A message begins with its number in 16 letters, the lowest digit first, as much of it as fits. The bytes behind it differ from one
 * message to the next, too: a reply that is lost, doubled, cut short, shifted or another's is never taken for the right one. No two
 * connections have a number in common.
 */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 16, VARIANTS = 256 };

struct messages {
  size_t size;
  int is_text;   /* lower-case letters and a newline at the end, for servers that want lines or change letters */
  int is_upper;  /* the reply is in upper case */
  char *table;   /* the bytes of message N begin at N % VARIANTS */
};

static int messages_init(struct messages *m) {
  m->table = malloc(m->size + VARIANTS);
  if (m->table == NULL) return -1;
  uint64_t random = 88172645463325252ull;
  for (size_t i = 0; i < m->size + VARIANTS; i++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    m->table[i] = m->is_text ? 'a' + (random >> 32) % 26 : random >> 32;
  }
  return 0;
}

static void message_write(const struct messages *m, uint64_t number, char *to) {
  memcpy(to, m->table + number % VARIANTS, m->size);
  for (size_t i = 0; i < DIGITS && i < m->size; i++) to[i] = 'a' + (number >> 4 * i) % 16;
  if (m->is_text) to[m->size - 1] = '\n';
}

/* The number of a whole message of DIGITS bytes or more. */
static inline uint64_t message_number(const struct messages *m, const char *reply) {
  uint64_t number = 0;
  for (int i = DIGITS - 1; i >= 0; i--) number = number << 4 | ((reply[i] - (m->is_upper ? 'A' : 'a')) & 15);
  return number;
}

/* What must come back for it. */
static void message_reply(const struct messages *m, const char *message, char *to) {
  for (size_t i = 0; i < m->size; i++) {
    to[i] = m->is_upper && message[i] >= 'a' && message[i] <= 'z' ? message[i] - 32 : message[i];
  }
}
