import { assertEquals } from "@std/assert";
import { type CgroupOwner, parseCgroup } from "../../lib/process/cgroup.ts";

const ID = "4f5c8a1b2d3e4f5c8a1b2d3e4f5c8a1b2d3e4f5c8a1b2d3e4f5c8a1b2d3e4f5c";
const SHORT = ID.slice(0, 12);

const CASES: [string, CgroupOwner][] = [
  ["0::/system.slice/nginx.service", { service: "nginx.service" }],
  ["0::/system.slice/system-getty.slice/getty@tty1.service", { service: "getty@tty1.service" }],
  ["0::/user.slice/user-1000.slice/session-3.scope", {}],
  ["0::/user.slice/user-1000.slice/user@1000.service/init.scope", {}],
  ["0::/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service", {
    service: "sync.service",
    isUserService: true,
  }],
  [`0::/system.slice/docker-${ID}.scope`, { container: SHORT, runtime: "docker" }],
  [`3:pids:/docker/${ID}\n0::/system.slice/docker.service`, { container: SHORT, runtime: "docker" }],
  [`0::/machine.slice/libpod-${ID}.scope/container`, { container: SHORT, runtime: "podman" }],
  [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`, {
    container: SHORT,
    runtime: "crictl",
  }],
  ["9:name=systemd:/system.slice/cron.service\n8:pids:/\n0::/", { service: "cron.service" }],
  ["0::/", {}],
  ["", {}],
];

for (const [text, owner] of CASES) {
  Deno.test(`parseCgroup() of '${text.replaceAll("\n", " ").replaceAll(ID, "ID")}'`, () => {
    assertEquals(parseCgroup(`${text}\n`), owner);
  });
}
