import { pino } from 'pino'
import type { Log } from '../core/log.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LEVELS)[number]

export const isLogLevel = (text: string): text is LogLevel => (LEVELS as readonly string[]).includes(text)

/** JSON lines on standard error, so that standard output stays free; written synchronously, so that none is lost at exit. */
export const createLog = (level: LogLevel, base: Readonly<Record<string, unknown>> = {}): Log =>
  pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }))

const ignore = (): void => undefined
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
