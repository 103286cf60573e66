-- What the quota's steps have in common; stands in front of each of them. Redis 6.2 commands only.
--
-- KEYS  1 state     hash: `generation` (when it was made, µs; another one tells a worker that Redis has lost its memory),
--                   `closed_until` (ms: nothing is granted before), `lowered` and `lowered_until` (ms: a smaller limit for
--                   a while), `ticket` (the last one)
--       2 held      sorted set: id → until when it is held (ms)
--       3 waiting   sorted set: id → ticket; the smallest is the next
--       4 patience  sorted set: id → until when it waits (ms)
-- ARGV  1 generation that the caller knows ('' none yet)   2 limit   3 lease ms   4 keep ms (expiry of the keys)
--       5 prefix of the workers' `granted` streams
--
-- An id is `<number>@<worker>`, made by the worker that wants the place. What is granted to one that waits is told in its
-- worker's own stream, reached by prefix: it lies in the same slot. Only Redis' clock counts, and whatever nobody renews for
-- a lease, held or waiting, is gone. Every step looks for such first, and grants what has become free.

local STATE, HELD, WAITING, PATIENCE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local KNOWN, LIMIT, LEASE_MS, KEEP_MS, GRANTED = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]

-- Lua's own number format would round: 53 bits are exact, 14 digits are not.
local function text(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local NOW_US = time[1] * 1000000 + time[2]
local NOW_MS = math.floor(NOW_US / 1000)

local state = redis.call('HMGET', STATE, 'generation', 'closed_until', 'lowered', 'lowered_until', 'ticket')
local generation = state[1] or text(NOW_US)
local closed_until, lowered, lowered_until = tonumber(state[2] or 0), tonumber(state[3] or 0), tonumber(state[4] or 0)
local last_ticket = tonumber(state[5] or 0)

if not state[1] then redis.call('HSET', STATE, 'generation', generation) end
-- A worker remembers what Redis has forgotten: there are streams that are not in `held`. Nothing is granted before every
-- worker has had the time to say what it holds.
if KNOWN ~= '' and KNOWN ~= generation then
  closed_until = math.max(closed_until, NOW_MS + LEASE_MS)
  redis.call('HSET', STATE, 'closed_until', text(closed_until))
end

local function limit_now()
  if lowered_until > NOW_MS then return math.min(LIMIT, lowered) end
  return LIMIT
end

local function room()
  if closed_until > NOW_MS then return 0 end
  return limit_now() - redis.call('ZCARD', HELD)
end

-- Drop what nobody has renewed.
local function sweep()
  redis.call('ZREMRANGEBYSCORE', HELD, '-inf', text(NOW_MS))
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', PATIENCE, '-inf', text(NOW_MS))) do
    redis.call('ZREM', WAITING, id)
    redis.call('ZREM', PATIENCE, id)
  end
end

-- Give free places to those that wait, in their order, and tell their workers. A place is held for as long as its id would
-- have waited: one whose worker is dead goes on within the same lease.
local function grant()
  for _ = 1, room() do
    local id = redis.call('ZRANGE', WAITING, 0, 0)[1]
    if not id then return end
    redis.call('ZADD', HELD, redis.call('ZSCORE', PATIENCE, id), id)
    redis.call('ZREM', WAITING, id)
    redis.call('ZREM', PATIENCE, id)
    local stream = GRANTED .. id:match('@(.*)$')
    redis.call('XADD', stream, 'MAXLEN', '~', 256, '*', 'id', id)
    redis.call('PEXPIRE', stream, KEEP_MS)
  end
end

-- In how many ms something will change by itself: a lease or a wait ends, or a limit does; 0 if nothing will.
local function next_ms()
  local times = {closed_until, lowered_until}
  for _, key in ipairs({HELD, PATIENCE}) do
    table.insert(times, tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 0))
  end
  local soonest = 0
  for _, at in ipairs(times) do
    if at > NOW_MS and (soonest == 0 or at < soonest) then soonest = at end
  end
  return soonest > 0 and soonest - NOW_MS or 0
end

-- What every step returns: generation, held, limit, next ms, and what is its own.
local function answer(own)
  for _, key in ipairs({STATE, HELD, WAITING, PATIENCE}) do redis.call('PEXPIRE', key, KEEP_MS) end
  return {generation, redis.call('ZCARD', HELD), limit_now(), next_ms(), own}
end
