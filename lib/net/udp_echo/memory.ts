/**
 * The memory that recvmmsg(2) and sendmmsg(2) work on. They take an array of `struct mmsghdr`, of 64 bytes each, which points to where the
 * address, the contents and the control data of a datagram are. Fields of such an array are reached as numbers of 32 bits, pointers as two
 * of them, so that nothing is allocated to set one.
 *
 * @module
 */

/** Fields of a `struct mmsghdr`, by their place in 32-bit numbers. */
export const HEADER = {
  name: 0,
  nameBytes: 2,
  vector: 4,
  vectorLength: 6,
  control: 8,
  controlBytes: 10,
  sizeBytes: 14,
} as const;
/** How many it has. */
export const HEADER_NUMBERS = 16;
/** How many a `struct iovec` has: a pointer to the contents, and how long they may be. */
export const VECTOR_NUMBERS = 4;
/** Room for a socket address. */
export const NAME_BYTES = 32;
/** Room for control data. */
export const CONTROL_BYTES = 64;
/** A `struct in_pktinfo`, or `in6_pktinfo`, stands in the control data behind a header of this length. */
export const CONTROL_HEADER_BYTES = 16;

/** Memory of C, all in one piece, which stays where it is. */
export class Memory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly numbers: Uint32Array<ArrayBuffer>;
  readonly address: bigint;

  constructor(sizeBytes: number) {
    const buffer = new ArrayBuffer(sizeBytes);
    this.bytes = new Uint8Array(buffer);
    this.numbers = new Uint32Array(buffer);
    this.address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.bytes));
  }

  /** Writes a pointer to `target`, `offsetBytes` into it. */
  point(at: number, { target, offsetBytes }: { target: Memory; offsetBytes: number }): void {
    const address = target.address + BigInt(offsetBytes);
    this.numbers[at] = Number(address & 0xffff_ffffn);
    this.numbers[at + 1] = Number(address >> 32n);
  }
}
