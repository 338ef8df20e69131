/**
 * What becomes of an item that was received and is not dealt with.
 *
 * @module
 */

import type { GiveBackOptions } from "../named.ts";
import type { BrokerConnection } from "./connection.ts";
import type { Putting } from "./putting.ts";
import { roundDelay } from "./delays.ts";
import type { QueueLayout } from "./queue_layout.ts";
import type { Receipt, Receipts } from "./receipts.ts";

/**
 * Gives an item back, or makes it a dead letter. It is where it goes before it is taken away from where it was. The caller takes it off its share.
 *
 * @returns What it was received as.
 * @throws {NotHeldError} If it is not held any more; also if it was lost meanwhile: then it may be there twice.
 */
export async function settle(
  connection: BrokerConnection,
  { token, layout, receipts, putting, options: { delayMs = 0, dead = false, error, counts = true } }: {
    token: string;
    layout: QueueLayout;
    receipts: Receipts;
    putting: Putting;
    options: GiveBackOptions;
  },
): Promise<Receipt> {
  const receipt = receipts.take(token);
  const { channel, message: { deliveryTag }, attempts } = receipt;
  if (!dead && !counts && delayMs === 0) {
    await layout.change(connection, ({ uncounted }) => ({ uncounted: uncounted + 1 }));
    channel.raw.basicNack({ deliveryTag, requeue: true });
    return receipt;
  }
  const queue = dead
    ? layout.dead
    : delayMs > 0
    ? await layout.delays.open(connection, roundDelay(delayMs))
    : layout.items;
  const { error: _, ...kept } = receipt.record;
  const failures = counts ? attempts : attempts - 1;
  await putting.sendTo(connection, {
    queue,
    record: { ...kept, failures, ...(error !== undefined && { error }) },
  });
  channel.raw.basicAck({ deliveryTag });
  return receipt;
}
