-- What the steps have in common; stands in front of each of them. Redis 6.2 commands only.
--
-- KEYS  1 dispatch   stream, group `workers`: turns that are ready
--       2 dead       stream: turns that failed on every attempt
--       3 deadlines  sorted set: `session turn` → time (ms) by which it must have begun
--       4 session    hash: `speaking` (turn id), `turns` and `first` (numbers of the last and the first turn),
--                    `interrupts` (JSON: the calls that last interrupted the session, and what they were answered)
--       5 waiting    list: turn ids behind the one that speaks
--       6 audio      stream: the session's output
--       7 kept       list: ended turns that are still in the output (trim.lua)
--       8 cursors    hash: listener → `cursor time`: what it has read, and when (ms) it said so
--       9 turn       hash     10 tokens   stream; of the step's own turn
--      11 nothing    a key that never exists
-- ARGV  1 prefix of turn hashes   2 prefix of token streams   3 session   4 turn ('' where the step is about the session)
--
-- All or nothing, in a cluster too: while a slot is on its way to another server, Redis runs no command of which a declared
-- key is missing (it answers TRYAGAIN), and `nothing` always is. So no step begins there, and none is broken off in the
-- middle because a key has left, or has been emptied and could not be made again.
-- A turn hash and a token stream of another turn of the same session are reached by prefix: they lie in the same slot.
-- Every script writes its output entry first: if Redis refuses its id, nothing has been changed.
-- Every key but `dispatch`, in which the group lives, has an expiry.
-- NEXT (the table of states) is put in front by the loader, from common/states.py.

local DISPATCH, DEAD, DEADLINES, SESSION, WAITING = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local AUDIO, KEPT, CURSORS = KEYS[6], KEYS[7], KEYS[8]
local FENCE = 1048575 -- the attempt number above every attempt

local function turn_key(turn) return ARGV[1] .. turn end
local function tokens_key(turn) return ARGV[2] .. turn end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua's own number format would round ids: 53 bits are exact, 14 digits are not.
local function text(number) return string.format('%.0f', number) end
local function entry_id(number, attempt, seq) return text(number * (FENCE + 1) + attempt) .. '-' .. text(seq) end

local function to_table(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- The turn's hash as a table, with numbers as numbers; nil if there is none.
local NUMBERS = {'number', 'attempt', 'lost', 'progress', 'expires_ms', 'samples', 'spoken', 'played', 'heard', 'sample_bytes',
  'retention_ms', 'output_ms', 'output_bytes', 'held_ms', 'held_bytes'}

local function read_turn(turn)
  local fields = to_table(redis.call('HGETALL', turn_key(turn)))
  if not fields.state then return nil end
  for _, name in ipairs(NUMBERS) do fields[name] = tonumber(fields[name]) end
  fields.ended = next(NEXT[fields.state]) == nil
  return fields
end

local function set_state(turn, from, to, ...)
  if not NEXT[from][to] then error('turn ' .. turn .. ' cannot go from ' .. from .. ' to ' .. to) end
  redis.call('HSET', turn_key(turn), 'state', to, ...)
end

-- Let a key live for so long from now on, and never for less than before: others have put something into it, too, and they
-- may have a longer retention time.
local function prolong(key, retention_ms)
  if redis.call('PTTL', key) < retention_ms then redis.call('PEXPIRE', key, retention_ms) end
end

-- Everything of one session lives for a retention time after its last change.
local function touch(turn, retention_ms)
  for _, key in ipairs({turn_key(turn), tokens_key(turn), SESSION, WAITING, AUDIO, KEPT, CURSORS}) do
    prolong(key, retention_ms)
  end
end

-- How much of turn `number` is in the output: position (samples), cut (samples), spoken (characters) and the attempt that
-- wrote it; zeros if nothing.
local function published(number)
  local last = redis.call('XREVRANGE', AUDIO, '+', '-', 'COUNT', 1)[1]
  if not last then return 0, 0, 0, 0 end
  local major = tonumber(last[1]:match('^%d+'))
  if math.floor(major / (FENCE + 1)) ~= number then return 0, 0, 0, 0 end
  local fields, attempt = to_table(last[2]), major % (FENCE + 1)
  if fields.type == 'begin' then return 0, 0, 0, attempt end
  return fields.offset + fields.samples, tonumber(fields.cut), tonumber(fields.spoken), attempt
end

-- A player's report, never more than what was published: audio that it had played may have been replaced since.
local function no_more_than(most, reported) return reported and math.min(reported, most) end

-- Where a turn was cut off, as it is told.
local function cut_of(turn, fields, samples, spoken)
  return {turn = turn, number = fields.number, samples = samples, spoken = spoken, state = fields.state,
    played = no_more_than(samples, fields.played), heard = no_more_than(spoken, fields.heard)}
end

-- Who has a message's lease, as far as is known: a failover may have lost the group.
local function holder(message)
  local held = redis.pcall('XPENDING', DISPATCH, 'workers', message, message, 1)
  return not held.err and held[1] and held[1][2]
end

local function acknowledge(message)
  if message and message ~= '' then
    redis.call('XACK', DISPATCH, 'workers', message)
    redis.call('XDEL', DISPATCH, message)
  end
end

-- Put the turn into dispatch, where any worker can claim it.
local function dispatch(turn, voice)
  local message = redis.call('XADD', DISPATCH, '*', 'turn', turn, 'session', ARGV[3], 'voice', voice)
  redis.call('HSET', turn_key(turn), 'message', message)
end

local function deadline_of(turn) return ARGV[3] .. ' ' .. turn end

-- Whether a turn's time to start is over, and no worker has claimed it. One that has knows the deadline itself.
local function is_late(fields)
  return fields.attempt == 0 and fields.expires_ms > 0 and fields.expires_ms <= now_ms()
end
