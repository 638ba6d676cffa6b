import { z } from 'zod'

const ENTRY_NAME = /^[^\s\x00-\x1f\x7f]{1,128}$/
const LABEL = /^[^\x00-\x1f\x7f]{1,200}$/

/** The name of an entry that others refer to, such as an engine. */
export const entryName = () =>
  z
    .string()
    .regex(ENTRY_NAME, { error: 'expected 1 to 128 characters without blanks and control characters' })

/** A name or word for people, such as a route's name or an owner. */
export const label = () =>
  z.string().regex(LABEL, { error: 'expected 1 to 200 characters without control characters' })

const HOST_PATTERN =
  /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$/

/** A host as routes name it: exact, or `*.suffix`; with a port when only that port is meant. */
export const hostPattern = () =>
  z.string().regex(HOST_PATTERN, { error: 'expected a host name such as bank.example.com, or *.example.com' })
