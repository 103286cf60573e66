-- open: give a turn its number and its place.
--
-- ARGV  5 request (JSON)  6 voice  7 metadata (JSON)  8 on_busy  9 start within ms (0: whenever)  10 retention ms
--       11 most turns that may wait in the session  12 most turns that may wait for a worker
--       13 output ms  14 output bytes  15 held ms  16 held bytes (trim.lua)
--       17 … field and value of each token event that is there from the beginning
-- Does      records the turn; ready (in `dispatch`) if the session is free, else behind the turn that speaks; with
--           on_busy = interrupt everything before it is interrupted first. Creates the session's line and the turn's token
--           stream: no other step creates a stream, so that nobody writes into one that has expired.
-- Refuses   `conflict`: the id is known with another request. `busy`: on_busy = refuse and the session speaks.
--           `full`: too many turns wait in the session. `overloaded`: the session is free, but too many turns wait for a
--           worker. Nothing is changed then.
-- Repeating is harmless: a known id with the same request returns what the first call returned, without the interrupts.
-- Returns   JSON {status = opened | known | conflict | busy | full | overloaded, number, state, cuts}

local session, turn = ARGV[3], ARGV[4]
local request, voice, metadata, on_busy = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local start_within_ms, retention_ms = tonumber(ARGV[9]), tonumber(ARGV[10])
local most_waiting, most_ready = tonumber(ARGV[11]), tonumber(ARGV[12])

local known = read_turn(turn)
if known then
  local status = known.request == request and 'known' or 'conflict'
  return cjson.encode({status = status, number = known.number, state = known.state, cuts = cjson.decode(known.cuts)})
end

-- How many turns wait; those that were interrupted while they waited do not count, unless it is a thousand: the step that
-- ends the turn which speaks writes the `end` of each of them, and holds up all of Redis for so long.
local MOST_ENDED = 1000

local function still_waiting(enough)
  local waiting = redis.call('LLEN', WAITING)
  if waiting < enough or waiting >= enough + MOST_ENDED then return waiting end
  local count = 0
  for _, id in ipairs(redis.call('LRANGE', WAITING, 0, -1)) do
    if redis.call('HGET', turn_key(id), 'state') == 'waiting' then count = count + 1 end
  end
  return count
end

-- Whether so many turns wait for a worker: in `dispatch`, where those are, too, that a worker has in its hands.
local function is_overloaded()
  local dispatched = redis.call('XLEN', DISPATCH)
  if dispatched < most_ready then return false end
  local pending = redis.pcall('XPENDING', DISPATCH, 'workers')
  return dispatched - (pending.err and 0 or pending[1]) >= most_ready -- an error: no worker has ever been there
end

-- A turn that nobody has claimed for longer than its retention time is gone, and the session may live on. The turn that it
-- has kept waiting comes next; and what is left of this one, if its id is that turn's, stands in nobody's way.
local cuts = {}
local speaking = redis.call('HGET', SESSION, 'speaking')
if speaking and redis.call('EXISTS', turn_key(speaking)) == 0 then
  advance()
  speaking = redis.call('HGET', SESSION, 'speaking')
end
if speaking and on_busy == 'refuse' then
  return cjson.encode({status = 'busy', speaking = speaking})
elseif speaking and on_busy == 'interrupt' then
  cuts = interrupt_session(false, '')
  speaking = false
elseif speaking and still_waiting(most_waiting) >= most_waiting then
  return cjson.encode({status = 'full', speaking = speaking})
elseif not speaking and is_overloaded() then
  return cjson.encode({status = 'overloaded'})
end

-- Numbers start at the clock's seconds: a session that expired and came back goes on above its old ids, so that a consumer
-- with an old cursor, or one that has been listening all the time, hears it.
local time_ms = now_ms()
local first = redis.call('HSETNX', SESSION, 'turns', text(math.floor(time_ms / 1000))) == 1
local number = redis.call('HINCRBY', SESSION, 'turns', 1)
if first then redis.call('HSET', SESSION, 'first', number) end

-- Make the streams, empty. XADD and XDEL leave a stream that only remembers its last id.
if redis.call('EXISTS', AUDIO) == 0 then
  redis.call('XADD', AUDIO, entry_id(number, 0, 0), 'type', 'none')
  redis.call('XDEL', AUDIO, entry_id(number, 0, 0))
end
redis.call('XADD', tokens_key(turn), '0-1', 'none', '')
redis.call('XDEL', tokens_key(turn), '0-1')
for i = 17, #ARGV, 2 do redis.call('XADD', tokens_key(turn), text((i - 15) / 2) .. '-0', ARGV[i], ARGV[i + 1]) end

local state = speaking and 'waiting' or 'ready'
redis.call('HSET', turn_key(turn), 'state', state, 'session', session, 'number', number, 'request', request,
  'voice', voice, 'metadata', metadata, 'attempt', 0, 'lost', 0, 'progress', 0, 'owner', '', 'message', '', 'cause', '',
  'samples', 0, 'spoken', 0, 'cuts', cjson.encode(cuts), 'opened_ms', text(time_ms), 'retention_ms', text(retention_ms),
  'expires_ms', start_within_ms > 0 and text(time_ms + start_within_ms) or 0, 'output_ms', ARGV[13], 'output_bytes', ARGV[14],
  'held_ms', ARGV[15], 'held_bytes', ARGV[16])
if start_within_ms > 0 then
  redis.call('ZADD', DEADLINES, text(time_ms + start_within_ms), deadline_of(turn))
  prolong(DEADLINES, retention_ms)
end
if speaking then
  redis.call('LREM', WAITING, 0, turn) -- of one that is gone: its place would bring this one out of its order
  redis.call('RPUSH', WAITING, turn)
else
  redis.call('HSET', SESSION, 'speaking', turn)
  dispatch(turn, voice)
end
touch(turn, retention_ms)
return cjson.encode({status = 'opened', number = number, state = state, cuts = cuts})
