import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokerAddress } from "../../lib/cluster/address.ts";
import { UsageError } from "../../lib/errors.ts";

Deno.test("BrokerAddress reads an URL, and has a default for every part", () => {
  const read = (url: string) => {
    const { host, port, tls, user, vhost, heartbeatS } = new BrokerAddress(url);
    return [host, port, tls, user, vhost, heartbeatS];
  };
  assertEquals(read("amqp://"), ["localhost", 5672, false, "guest", "/", 5]);
  assertEquals(read("amqps://mq"), ["mq", 5671, true, "guest", "/", 5]);
  assertEquals(read("amqp://mq/"), ["mq", 5672, false, "guest", "/", 5]);
  assertEquals(read("amqp://mq/%2F"), ["mq", 5672, false, "guest", "/", 5]);
  assertEquals(read("AMQP://a%40b:c@[::1]:99/x%2Fy?heartbeat=60"), ["::1", 99, false, "a@b", "x/y", 60]);
});

Deno.test("BrokerAddress takes what is percent-encoded in a password for what it stands for", () => {
  assertEquals(new BrokerAddress("amqp://u:%3F%23%2F%25%40é@mq").password(), "?#/%@é");
  assertEquals(new BrokerAddress("amqp://u:@mq").password(), "");
  assertEquals(new BrokerAddress("amqp://mq").password(), "guest");
});

Deno.test("BrokerAddress shows no password, however it is printed", () => {
  const address = new BrokerAddress("amqps://ana:s3cret@mq:99/v");
  assertEquals(`${address}`, "amqps://mq:99/v");
  const shown = Deno.inspect(address, { depth: 9, showHidden: true }) + JSON.stringify(address);
  assertEquals(shown.includes("s3cret"), false);
});

Deno.test("BrokerAddress says what is wrong with an URL, and nothing of what it holds", () => {
  const cases: [string, string][] = [
    ["http://u:s3cret@mq", "must begin with amqp://"],
    ["s3cret", "must have the form"],
    ["amqp://u:12#s3cret@mq", "%23"],
    ["amqp://u:s3cret/x@mq", "must have the form"],
    ["amqp://u:4711/s3cret@mq", "%2F"],
    ["amqp://u:s3cret%zz@mq", "%25"],
    ["amqp://u:s3cret@mq:0", "port"],
    ["amqp://u:s3cret@mq:65536", "must have the form"],
    ["amqp://u:s3cret@mq/a/b", "%2F"],
    ["amqp://u:s3cret@mq?heartbeat=0", "'heartbeat' must be"],
    ["amqp://u:s3cret@mq?heartbeat=1e9", "'heartbeat' must be"],
    ["amqp://u:s3cret@mq?password=x", "'heartbeat' and 'cacertfile'"],
    ["amqp://u:s3cret@mq?cacertfile=x", "amqps://"],
  ];
  for (const [url, expected] of cases) {
    const error = assertThrows(() => new BrokerAddress(url), UsageError);
    assertStringIncludes(error.message, expected, url);
    assertEquals(Deno.inspect(error).includes("s3cret"), false, url);
  }
});
