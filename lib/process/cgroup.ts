/**
 * Which service or container a process belongs to, as its control groups tell (cgroups(7), systemd.unit(5)).
 *
 * @module
 */

/** What a process belongs to. */
export interface CgroupOwner {
  /** A systemd service, such as `nginx.service`. */
  service?: string;
  /** Whether the service is one of a user's, for `systemctl --user`. */
  isUserService?: boolean;
  /** The first 12 digits of a container's id. */
  container?: string;
  /** Whose container it is: the command that knows it. */
  runtime?: "docker" | "podman" | "crictl";
}

const CONTAINER = /(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:\/|$)/;

/**
 * Reads `/proc/PID/cgroup`: a line for each hierarchy, `ID:CONTROLLERS:PATH`. A container stands before the service that runs it.
 *
 * @param text What the file says.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseCgroup("0::/system.slice/nginx.service\n"), { service: "nginx.service" });
 * assertEquals(parseCgroup("0::/user.slice/user-1000.slice/session-3.scope\n"), {});
 * ```
 */
export function parseCgroup(text: string): CgroupOwner {
  const owners = text.split("\n").map((line) => ownerOf(line.split(":").slice(2).join(":")));
  return owners.find(({ container }) => container !== undefined) ??
    owners.find(({ service }) => service !== undefined) ?? {};
}

function ownerOf(path: string): CgroupOwner {
  const id = CONTAINER.exec(path)?.[1];
  if (id !== undefined) {
    const runtime = /libpod/.test(path) ? "podman" : /cri-|crio|kubepods/.test(path) ? "crictl" : "docker";
    return { container: id.slice(0, 12), runtime };
  }
  const services = path.split("/").filter((part) => part.endsWith(".service"));
  const service = services.at(-1);
  // A user's own systemd: all that the user runs hangs on it, so nobody restarts it for a zombie.
  if (service === undefined || service.startsWith("user@")) return {};
  return services.length > 1 && services[0]!.startsWith("user@")
    ? { service, isUserService: true }
    : { service };
}
