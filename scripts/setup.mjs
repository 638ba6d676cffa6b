// npm run setup, npm run build: everything that ./bin/sallyport needs.
import { prepare } from './prepare.mjs'

process.exitCode = prepare() ? 0 : 1
