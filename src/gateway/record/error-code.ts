/** The `code` of a system error, such as `ENOSPC`; its message would name paths. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
