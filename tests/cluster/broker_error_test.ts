import { assertEquals, assertInstanceOf } from "@std/assert";
import { BrokerAddress } from "../../lib/cluster/address.ts";
import { requestError, UnavailableError } from "../../lib/cluster/broker_error.ts";

/** What the client rejects with when the broker says something. */
function said(code: string, text: string): Error {
  return Object.assign(new Error(`QueueDeclare: ${code} - ${text}`), { code });
}

const what = { address: new BrokerAddress("amqp://mq"), object: "the lock 'a'" };

for (
  const [code, text] of [
    ["NOT_FOUND", "home node 'rabbit@mq' of durable queue 'q' in vhost '/' is down or inaccessible"],
    ["NOT_FOUND", "queue 'q' in vhost '/' process is stopped by supervisor"],
    ["PRECONDITION_FAILED", "queue 'queue 'q' in vhost '/'' does not have a replica on the local node"],
    [
      "PRECONDITION_FAILED",
      "queue 'queue 'q' in vhost '/'' does not have a running replica on the local node",
    ],
  ] as const
) {
  Deno.test(`requestError() takes for a broker that has just started: ${text}`, () => {
    const error = requestError(said(code, text), what);
    assertInstanceOf(error, UnavailableError);
    assertEquals(
      error.message,
      "cannot use the lock 'a' at mq:5672: the broker has not got it up: try again, or look at its nodes",
    );
  });
}

Deno.test("requestError() does not take for it what will not change by itself", () => {
  for (const [code, text] of [["NOT_FOUND", "no queue 'q' in vhost '/'"], ["PRECONDITION_FAILED", "fast"]]) {
    assertEquals(requestError(said(code!, text!), what) instanceof UnavailableError, false);
  }
});
