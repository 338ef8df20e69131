import { assertEquals } from "@std/assert";
import { socketCalls } from "../../../lib/net/socket/libc.ts";
import { encodeIpAddress, formatSocketAddress } from "../../../lib/net/socket/socket_address.ts";

const socket = socketCalls();

Deno.test({
  name:
    "encodeIpAddress() writes what formatSocketAddress() reads, and nothing that is no address in numbers (Linux)",
  ignore: socket === undefined,
  fn() {
    const encoded = (ip: string) => encodeIpAddress({ ip, port: 8_081 }, socket!);
    const again = (ip: string) => formatSocketAddress(encoded(ip)!);
    assertEquals(again("192.0.2.7"), "192.0.2.7:8081");
    assertEquals(again("::1"), "[::1]:8081");
    assertEquals(again("2001:0DB8:0:0:1:0:0:1"), "[2001:db8::1:0:0:1]:8081");
    assertEquals(again("::ffff:192.0.2.7"), "[::ffff:c000:207]:8081");
    const zone = (ip: string) => new DataView(encoded(ip)!.buffer).getUint32(24, true);
    assertEquals([zone("fe80::1"), zone("fe80::1%7"), zone("fe80::1%lo") > 0], [0, 7, true]);
    for (const ip of ["", "localhost", "192.0.2", "::g", "192.0.2.7%lo"]) {
      assertEquals(encoded(ip), undefined);
    }
  },
});
