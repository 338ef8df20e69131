import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionError, UsageError } from "../../lib/errors.ts";
import { type BenchInterval, type BenchOptions, benchTcp, benchUdp } from "../../lib/net/bench.ts";
import { type PortablePlan, runPortableBench } from "../../lib/net/bench/portable.ts";
import { connectStream } from "../../lib/net/tcp_client.ts";
import { transform, TRANSFORMS } from "../../lib/net/transform.ts";
import { inDirectory } from "../cli/conc.ts";
import { besideTcp, besideUdp, echo, hangUp, nobody } from "./echo_peers.ts";

const QUICK: BenchOptions = { connections: 3, count: 300, timeoutMs: 20_000 };

Deno.test("benchTcp() finds nothing wrong with a clean server, in any size and transform", async () => {
  for (const how of TRANSFORMS) {
    await besideTcp(
      // The pieces of a stream may end anywhere: only messages that come whole can be turned around here.
      (connection) => echo(connection, (bytes) => transform(new Uint8Array(bytes), how)),
      async (address) => {
        for (const sizeBytes of how === "reverse" ? [1, 64] : [1, 2, 11, 64, 1_000, 300_000]) {
          const summary = await benchTcp(address, { ...QUICK, count: 60, sizeBytes, transform: how });
          const { messages, requests, corrupt, lost, errors, rtt } = summary;
          assertEquals({ messages, requests, corrupt, lost, errors }, {
            ...{ messages: 60, requests: 60 },
            ...{ corrupt: 0, lost: 0, errors: 0 },
          });
          assertEquals(rtt.count, 60);
        }
      },
    );
  }
});

Deno.test("benchTcp() counts wrong bytes, whatever else is right", async () => {
  let count = 0;
  await besideTcp(
    (connection) =>
      echo(connection, (bytes) => {
        if (++count % 10 === 0) bytes[bytes.length - 2]! ^= 1;
        return bytes;
      }),
    async (address) => {
      const { messages, corrupt, errors, requests } = await benchTcp(address, { ...QUICK, count: 100 });
      assertEquals({ messages, corrupt, errors, requests }, {
        ...{ messages: 90, corrupt: 10 },
        ...{ errors: 0, requests: 100 },
      });
    },
  );
});

Deno.test("benchTcp() counts a transform that it was not told of as corrupt", async () => {
  await besideTcp(
    (connection) => echo(connection, (bytes) => transform(new Uint8Array(bytes), "upper")),
    async (address) => {
      const { messages, corrupt } = await benchTcp(address, { ...QUICK, count: 50 });
      assertEquals([messages, corrupt], [0, 50]);
    },
  );
});

Deno.test("benchTcp() counts replies that are too short as lost, and connects anew", async () => {
  await besideTcp(
    (connection, number) => echo(connection, (bytes) => number === 1 ? bytes.slice(1) : bytes),
    async (address) => {
      const summary = await benchTcp(address, { connections: 1, count: 20, timeoutMs: 2_000 });
      const { messages, lost, errors, requests } = summary;
      assertEquals({ messages, lost, errors, requests }, { messages: 19, lost: 1, errors: 0, requests: 20 });
    },
  );
});

Deno.test("benchTcp() takes bytes that are too many for no later reply", async () => {
  await besideTcp(
    (connection) => echo(connection, (bytes) => new Uint8Array([...bytes, ...bytes])),
    async (address) => {
      const { messages, corrupt, errors } = await benchTcp(address, { connections: 1, count: 4 });
      assertEquals(errors, 0);
      assert(messages + corrupt >= 4 && corrupt > 0, `${messages} ${corrupt}`);
    },
  );
});

Deno.test("benchTcp() counts connections that break, pauses, and connects anew", async () => {
  let served = 0;
  await besideTcp(
    (connection, number) =>
      number > 1 ? echo(connection) : echo(connection, (bytes) => {
        if (++served < 5) return bytes;
        hangUp(connection);
        return undefined;
      }),
    async (address) => {
      const { messages, errors, requests, reasons } = await benchTcp(address, { connections: 1, count: 20 });
      assertEquals({ messages, errors, requests }, { messages: 19, errors: 1, requests: 20 });
      assertEquals(Object.values(reasons), [1]);
    },
  );
});

Deno.test("benchTcp() hammers no server that hangs up at once", async () => {
  let connections = 0;
  await besideTcp(
    (connection) => {
      connections += 1;
      hangUp(connection);
      return Promise.resolve();
    },
    async (address) => {
      const { messages, errors } = await benchTcp(address, { connections: 1, durationMs: 300 });
      assertEquals(messages, 0);
      // After 10, 20, 40, 80, 160 ms.
      assert(errors > 0 && connections <= 7, `${connections}`);
    },
  );
});

Deno.test("benchTcp() and benchUdp() say that nobody is there", async () => {
  const address = nobody();
  const message = `cannot reach 127.0.0.1:${address.port}: connection refused`;
  await assertRejects(() => benchTcp(address, QUICK), ConnectionError, message);
  await assertRejects(() => benchUdp(address, QUICK), ConnectionError, message);
  await assertRejects(() => benchTcp({ path: "/no/such/socket" }), ConnectionError, "no such file");
  for (const bench of [benchTcp, benchUdp]) {
    await assertRejects(() => bench({ hostname: "no-such-host.invalid", port: 7 }), ConnectionError, "host");
  }
});

Deno.test("benchTcp() works over Unix sockets, IPv6 and names", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    const listener = Deno.listen({ transport: "unix", path });
    const serving = (async () => {
      for await (const { readable, writable } of listener) void readable.pipeTo(writable).catch(() => {});
    })();
    assertEquals((await benchTcp({ path }, QUICK)).messages, 300);
    listener.close();
    await serving;
  });
  await besideTcp((connection) => echo(connection), async ({ port }) => {
    assertEquals((await benchTcp({ hostname: "localhost", port }, QUICK)).messages, 300);
  });
});

Deno.test("benchTcp() ends early when it is aborted, and gives what was measured", async () => {
  await besideTcp((connection) => echo(connection), async (address) => {
    const controller = new AbortController();
    const intervals: BenchInterval[] = [];
    const interval = (news: BenchInterval) => {
      intervals.push(news);
      controller.abort();
    };
    const summary = await benchTcp(address, { durationMs: 1e6, signal: controller.signal, interval });
    assert(summary.messages > 0);
    assertEquals(intervals.reduce((sum, { messages }) => sum + messages, 0), summary.messages);
    const aborted = await benchTcp(address, { durationMs: 1e6, signal: AbortSignal.abort() });
    assertEquals(aborted.messages, 0);
  });
});

Deno.test("benchTcp() at a rate sends as many as are due, and tells what it could not send", async () => {
  await besideTcp((connection) => echo(connection), async (address) => {
    const options = { connections: 5, durationMs: 300, ratePerSecond: 200 };
    const { messages, unsent } = await benchTcp(address, options);
    assertEquals(messages + unsent, 60);
  });
  await besideTcp(() => Promise.resolve(), async (address) => {
    const options = { connections: 2, durationMs: 100, ratePerSecond: 1_000, timeoutMs: 300 };
    const { messages, unsent, lost } = await benchTcp(address, options);
    assertEquals([messages, unsent + lost, lost <= 2], [0, 100, true]);
  });
});

Deno.test("a server that stalls delays every message that is due meanwhile, and that counts", async () => {
  let count = 0;
  await besideTcp(
    async (connection) => {
      const buffer = new Uint8Array(100);
      for (let length; (length = await connection.read(buffer)) !== null;) {
        if (++count === 10) await new Promise((resolve) => setTimeout(resolve, 300));
        await connection.write(buffer.subarray(0, length));
      }
    },
    async (address) => {
      const options = { connections: 1, count: 100, ratePerSecond: 500 };
      const { rtt } = await benchTcp(address, options);
      // All were due within 200 ms: nearly all of them waited for the stall, not just the one that was under way.
      const late = rtt.steps.filter(([limitMs]) => limitMs > 50).reduce((sum, [, count]) => sum + count, 0);
      assert(late > 80, `${late}`);
    },
  );
});

Deno.test("benchUdp() finds nothing wrong with a clean server, in any size and transform", async () => {
  for (const how of TRANSFORMS) {
    await besideUdp((bytes) => [transform(new Uint8Array(bytes), how)], async (address) => {
      for (const sizeBytes of [1, 2, 64, 1_400, 9_000]) {
        const { rtt: _, reasons: __, ...rest } = await benchUdp(address, {
          ...{ ...QUICK, sizeBytes, transform: how },
        });
        const { messages, requests, lost, corrupt, errors, duplicated, reordered, late } = rest;
        assertEquals([messages, requests], [300, 300], `${how} ${sizeBytes}`);
        assertEquals([lost, corrupt, errors, duplicated, reordered, late], [0, 0, 0, 0, 0, 0]);
      }
    });
  }
});

Deno.test("benchUdp() counts exactly what a server drops, doubles, swaps and spoils", async () => {
  let held: Uint8Array | undefined;
  const done = { dropped: 0, doubled: 0, swapped: 0, spoiled: 0 };
  await besideUdp((bytes, count) => {
    const before = held === undefined ? [] : [held];
    held = undefined;
    if (count % 20 === 5) {
      done.dropped += 1;
      return before;
    }
    if (count % 20 === 10) {
      done.doubled += 1;
      return [bytes, bytes, ...before];
    }
    if (count % 20 === 15) {
      done.swapped += 1;
      held = bytes;
      return before;
    }
    if (count % 20 === 0) {
      done.spoiled += 1;
      bytes[30]! ^= 1;
    }
    return [bytes, ...before];
  }, async (address) => {
    const options = { connections: 1, count: 999, timeoutMs: 2_000 };
    const { messages, requests, lost, duplicated, reordered, corrupt, late } = await benchUdp(
      address,
      options,
    );
    assertEquals(requests, 999);
    assertEquals({ lost, duplicated, reordered, corrupt, late }, {
      lost: done.dropped,
      duplicated: done.doubled,
      reordered: done.swapped,
      corrupt: done.spoiled,
      late: 0,
    });
    assertEquals(messages, 999 - lost - corrupt);
  });
});

Deno.test("benchTcp() and benchUdp() refuse what is out of range", async () => {
  const address = { hostname: "127.0.0.1", port: 1 };
  await assertRejects(() => benchTcp(address, { connections: 0 }), UsageError, "'connections' must be");
  await assertRejects(() => benchTcp(address, { sizeBytes: 0.5 }), UsageError, "'sizeBytes' must be");
  await assertRejects(() => benchUdp(address, { sizeBytes: 65_508 }), UsageError, "from 1 to 65507");
  await assertRejects(() => benchUdp(address, { window: 0 }), UsageError, "'window' must be");
});

const PLAN: Omit<PortablePlan, "kind"> = {
  ...{ connections: 3, sizeBytes: 64, transform: "none", window: 8 },
  ...{ durationMs: Infinity, count: 300, ratePerSecond: undefined, timeoutMs: 20_000, warmupMs: 0 },
};

Deno.test("the sockets of the runtime count the same", async () => {
  await besideTcp((connection) => echo(connection), async (endpoint) => {
    const plan = { ...PLAN, kind: "stream" } as const;
    const { messages, corrupt, lost, errors } = await runPortableBench(plan, {
      connect: () => connectStream(endpoint),
    });
    assertEquals([messages, corrupt, lost, errors], [300, 0, 0, 0]);
  });
  let count = 0;
  await besideTcp(
    (connection) =>
      echo(connection, (bytes) => {
        if (++count % 10 === 0) bytes[bytes.length - 2]! ^= 1;
        return bytes;
      }),
    async (endpoint) => {
      const plan = { ...PLAN, kind: "stream", warmupMs: 0, ratePerSecond: 1_000, count: 100 } as const;
      const connect = () => connectStream(endpoint);
      const { messages, corrupt } = await runPortableBench(plan, { connect });
      assertEquals([messages, corrupt], [90, 10]);
    },
  );
  await besideUdp(
    (bytes, count) => count % 10 === 0 ? [bytes, bytes] : [bytes],
    async ({ hostname, port }) => {
      const plan = { ...PLAN, kind: "datagram" } as const;
      const { messages, duplicated, lost } = await runPortableBench(plan, { target: { ip: hostname, port } });
      assertEquals([messages, lost], [300, 0]);
      // The last duplicate may come when nobody waits for it any more.
      assert(duplicated >= 29 && duplicated <= 30, `${duplicated}`);
    },
  );
  const connect = () => connectStream(nobody());
  const plan = { ...PLAN, kind: "stream" } as const;
  await assertRejects(() => runPortableBench(plan, { connect }), ConnectionError, "connection refused");
});
