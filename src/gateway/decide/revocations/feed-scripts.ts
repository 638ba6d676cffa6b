/**
 * One heartbeat: shows that this is the primary, finds out which epoch it is, and gives what is new.
 *
 * An epoch ends when the server is another process, or has lost the feed or a part of it: then nobody knows what is missing in it.
 *
 * KEYS: meta, marks, replicas, ids. ARGV: our epoch, an epoch to begin if there is none, our position, our id, our heartbeat,
 * how many entries at most, after how many milliseconds a silent replica is forgotten.
 * Returns epoch, since when it is (ms), its time (ms), the last position, the floor, entries, replicas, policy.
 */
export const BEAT = `
local meta, marks, replicas = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local policy = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
local known = redis.call('HMGET', meta, 'epoch', 'run', 'since', 'last', 'floor', 'count')
local epoch, since, last, floor = known[1], known[3], '0-0', known[5] or '0-0'
local count = tostring(redis.call('XLEN', marks))
if redis.call('EXISTS', marks) == 1 then
  local info = redis.call('XINFO', 'STREAM', marks)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'max-deleted-entry-id' then floor = info[i + 1] end
  end
end
if not epoch or known[2] ~= run or known[4] ~= last or known[6] ~= count then
  epoch = ARGV[2]
  since = tostring(now)
  redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'since', since, 'last', last, 'count', count)
  redis.call('HDEL', meta, 'floor')
  redis.call('DEL', KEYS[4])
end
local from = ARGV[3]
if epoch ~= ARGV[1] then from = '0-0' end
redis.call('HSET', replicas, ARGV[4], now .. ' ' .. epoch .. ' ' .. from .. ' ' .. ARGV[5])
local others = redis.call('HGETALL', replicas)
local seen = {}
for i = 1, #others, 2 do
  local at = tonumber(string.match(others[i + 1], '^(%d+) '))
  if now - at > tonumber(ARGV[7]) then redis.call('HDEL', replicas, others[i])
  else seen[#seen + 1] = others[i]; seen[#seen + 1] = others[i + 1] end
end
local entries = redis.call('XRANGE', marks, '(' .. from, '+', 'COUNT', ARGV[6])
return { epoch, since, tostring(now), last, floor, entries, seen, policy }
`

/**
 * Adds an entry unless it is there already, and drops expired ones at the start of the feed.
 *
 * KEYS: meta, marks, ids. ARGV: id, payload, MAC, until when it is in force (ms), how many entries at most.
 * Returns its position, or 'full'.
 */
export const ADD = `
local meta, marks, ids = KEYS[1], KEYS[2], KEYS[3]
local there = redis.call('HGET', ids, ARGV[1])
if there then return there end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, entry in ipairs(redis.call('XRANGE', marks, '-', '+', 'COUNT', 20)) do
  if tonumber(entry[2][8]) > now then break end
  redis.call('HINCRBY', meta, 'count', -redis.call('XDEL', marks, entry[1]))
  redis.call('HDEL', ids, entry[2][2])
  redis.call('HSET', meta, 'floor', entry[1])
end
if redis.call('XLEN', marks) >= tonumber(ARGV[5]) then return 'full' end
local position = redis.call('XADD', marks, '*', 'i', ARGV[1], 'm', ARGV[2], 'k', ARGV[3], 'x', ARGV[4])
redis.call('HSET', ids, ARGV[1], position)
redis.call('HSET', meta, 'last', position)
redis.call('HINCRBY', meta, 'count', 1)
return position
`
