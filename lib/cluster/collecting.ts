/**
 * Collecting the permits of an object: what who is inside its gate does, and nobody else.
 *
 * @module
 */

import { follow } from "../abort.ts";
import { Timer } from "../time/timer.ts";
import type { ClusterPermits, Insider } from "./permits.ts";
import { type Book, counts, countTokens, destroy, putBack, type Token, token, without } from "./tokens.ts";

/** Ends a round of waiting, to show life. */
const RENEW = Symbol("renew");

/**
 * Collects permits, inside the gate, waiting for what is not there.
 *
 * Cancel safety: who gives up closes the channel; that gives everything back.
 *
 * @param options `book`: as it was lately; `wanted`: how many, by the book, at once to throw if there can never be so many; `signal`.
 */
export async function collect(
  permits: ClusterPermits,
  insider: Insider,
  { book, wanted, signal }: { book: Book; wanted: (book: Book) => number; signal: AbortSignal },
): Promise<Token[]> {
  const { channel } = insider;
  let held: Token[] = [];
  for (;;) {
    const missing = wanted(book) - held.length;
    if (missing > 0) await receive(permits, insider, { held, count: wanted(book), signal });
    book = await permits.log.last(channel, signal);
    held = await sort(permits, insider, { book, held, signal });
    if (held.length === wanted(book)) return held;
  }
}

/** Takes permits, inside the gate, if there are so many; else returns undefined and has none. */
export async function take(
  permits: ClusterPermits,
  insider: Insider,
  wanted: (book: Book) => number,
): Promise<Token[] | undefined> {
  const { channel } = insider;
  let held: Token[] = [];
  for (;;) {
    const book = await permits.log.last(channel);
    held = await sort(permits, insider, { book, held });
    const count = wanted(book);
    if (held.length === count) return held;
    while (held.length < count) {
      const taken = await permits.tokens.take(channel);
      if (taken === undefined) {
        putBack(channel, held);
        return undefined;
      }
      held.push(taken);
    }
  }
}

/** Destroys those of some permits that do not count, or are more than there are to be. Returns the others. */
async function sort(
  permits: ClusterPermits,
  { connection, channel }: Pick<Insider, "connection" | "channel">,
  { book, held, signal }: { book: Book; held: readonly Token[]; signal?: AbortSignal },
): Promise<Token[]> {
  const [good, dead]: [Token[], Token[]] = [[], []];
  for (const each of held) (counts(book, each.id) ? good : dead).push(each);
  if (countTokens(book) > book.permits && good.length > 0) {
    await permits.change(connection, async (channel, book) => {
      const excess = good.splice(0, Math.max(0, countTokens(book) - book.permits));
      if (excess.length === 0) return;
      await permits.log.append(channel, without(book, excess.map(({ id }) => id)));
      dead.push(...excess);
    }, signal);
  }
  destroy(channel, dead);
  return good;
}

/** Waits until so many permits are ours. In `held` afterwards. Shows life from time to time. */
async function receive(
  permits: ClusterPermits,
  { channel, pass, part }: Insider,
  { held, count, signal }: { held: Token[]; count: number; signal: AbortSignal },
): Promise<void> {
  while (held.length < count) {
    const round = new AbortController();
    const inbox = await permits.tokens.listen(channel, count - held.length);
    const unfollow = follow(round, [signal]);
    using _timer = new Timer(permits.renewMs, () => round.abort(RENEW));
    try {
      while (held.length < count) {
        part.collected = held.length;
        held.push(token(await inbox.next(round.signal)));
      }
      await inbox.close();
    } catch (error) {
      if (error !== RENEW) throw error;
      // Nobody else takes what is put back: we are inside.
      await inbox.close();
      putBack(channel, [...held.splice(0), ...inbox.takeAll().map(token)]);
      await pass.renew();
    } finally {
      unfollow();
    }
  }
}
