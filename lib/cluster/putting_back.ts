/**
 * What becomes of an item that was received and is not dealt with.
 *
 * @module
 */

import type { GiveBackOptions } from "../named.ts";
import type { BrokerConnection } from "./connection.ts";
import { roundDelay } from "./delays.ts";
import type { Putting } from "./putting.ts";
import type { QueueLayout } from "./queue_layout.ts";
import type { Receipt } from "./receipts.ts";

/**
 * Puts an item back, or makes it a dead letter. It is where it goes before it is taken away from where it was; if it cannot get there, it goes back to
 * where it was at once.
 *
 * @throws {SystemError} If the broker does not take it, or the connection is lost: then it may be there twice.
 */
export async function putBack(
  connection: BrokerConnection,
  { receipt, layout, putting, options: { delayMs = 0, dead = false, error, counts = true } }: {
    receipt: Receipt;
    layout: QueueLayout;
    putting: Putting;
    options: GiveBackOptions;
  },
): Promise<void> {
  const { channel, message: { deliveryTag }, attempts } = receipt;
  const isUntouched = !dead && !counts && delayMs === 0;
  try {
    if (isUntouched) {
      await layout.change(connection, ({ uncounted }) => ({ uncounted: uncounted + 1 }));
    } else {
      const queue = dead
        ? layout.dead
        : delayMs > 0
        ? await layout.delays.open(connection, roundDelay(delayMs))
        : layout.items;
      const { error: _, ...kept } = receipt.record;
      const failures = counts ? attempts : attempts - 1;
      const record = { ...kept, failures, ...(error !== undefined && { error }) };
      await putting.sendTo(connection, { queue, record });
    }
  } catch (error) {
    if (channel.raw.active) channel.raw.basicNack({ deliveryTag, requeue: true });
    throw error;
  }
  if (isUntouched) channel.raw.basicNack({ deliveryTag, requeue: true });
  else channel.raw.basicAck({ deliveryTag });
}
