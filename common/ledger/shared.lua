-- What the steps have in common; stands in front of each of them. Redis 6.2 commands only.
--
-- KEYS  1 dispatch   stream, group `workers`: turns that are ready
--       2 dead       stream: turns that failed on every attempt
--       3 session    hash: `speaking` (turn id), `turns` and `first` (numbers of the last and the first turn),
--                    `interrupt` and `interrupt_reply` (the last interrupt of the session: its call and its answer)
--       4 waiting    list: turn ids behind the one that speaks
--       5 audio      stream: the session's output
-- ARGV  1 prefix of turn hashes   2 prefix of token streams   3 session   4 turn ('' where the step is about the session)
--
-- A turn hash and a token stream of another turn of the same session are reached by prefix: they lie in the same slot.
-- Every script writes its output entry first: if Redis refuses its id, nothing has been changed.
-- NEXT (the table of states) is put in front by the loader, from common/states.py.

local DISPATCH, DEAD, SESSION, WAITING, AUDIO = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
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
local function read_turn(turn)
  local fields = to_table(redis.call('HGETALL', turn_key(turn)))
  if not fields.state then return nil end
  for _, name in ipairs({'number', 'attempt', 'lost', 'progress', 'expires_ms', 'retention_ms', 'samples', 'spoken'}) do
    fields[name] = tonumber(fields[name])
  end
  fields.ended = next(NEXT[fields.state]) == nil
  return fields
end

local function set_state(turn, from, to, ...)
  if not NEXT[from][to] then error('turn ' .. turn .. ' cannot go from ' .. from .. ' to ' .. to) end
  redis.call('HSET', turn_key(turn), 'state', to, ...)
end

-- Everything of one session expires together, a retention time after its last change.
local function touch(turn, retention_ms)
  for _, key in ipairs({turn_key(turn), tokens_key(turn), SESSION, WAITING, AUDIO}) do
    redis.call('PEXPIRE', key, retention_ms)
  end
end

-- How much of turn `number` is in the output: position (samples), cut (samples), spoken (characters); 0, 0, 0 if nothing.
local function published(number)
  local last = redis.call('XREVRANGE', AUDIO, '+', '-', 'COUNT', 1)[1]
  if not last or math.floor(tonumber(last[1]:match('^%d+')) / (FENCE + 1)) ~= number then return 0, 0, 0 end
  local fields = to_table(last[2])
  if fields.type == 'begin' then return 0, 0, 0 end
  return fields.offset + fields.samples, tonumber(fields.cut), tonumber(fields.spoken)
end

local function write_end(id, turn, reason, samples, spoken, cause)
  return redis.call('XADD', AUDIO, 'NOMKSTREAM', id, 'type', 'end', 'turn', turn, 'reason', reason,
    'samples', samples, 'spoken', spoken, 'cause', cause)
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

-- Close the books of a turn: final state, no dispatch message, no further token. The output's `end` entry is the caller's.
-- The seal's id is the clock's, which is larger than any token's number: from now on every token is refused.
local function close(turn, fields, reason, samples, spoken, cause)
  set_state(turn, fields.state, reason, 'samples', samples, 'spoken', spoken, 'cause', cause, 'owner', '', 'message', '',
    'ended_ms', text(now_ms()))
  acknowledge(fields.message)
  redis.call('XADD', tokens_key(turn), 'NOMKSTREAM', '*', 'seal', reason)
  touch(turn, fields.retention_ms)
end

-- End a turn that no worker ends: the entry stands above every attempt. Returns how far it had come.
local function cut_off(turn, fields, reason, cause)
  local samples, _, spoken = published(fields.number)
  write_end(entry_id(fields.number, FENCE, 0), turn, reason, samples, spoken, cause)
  close(turn, fields, reason, samples, spoken, cause)
  return samples, spoken
end

local function bury(turn, fields, cause)
  redis.call('XADD', DEAD, 'MAXLEN', '~', 10000, '*', 'turn', turn, 'session', ARGV[3], 'cause', cause,
    'attempts', fields.attempt, 'request', fields.request)
  redis.call('PEXPIRE', DEAD, fields.retention_ms)
end

-- The session's turn has ended: let the next one that still wants to speak do so. Turns that were interrupted or expired
-- while they waited get their `end` entry now, in their order: earlier it would have fenced the one that was speaking.
local function advance()
  redis.call('HDEL', SESSION, 'speaking')
  while true do
    local turn = redis.call('LPOP', WAITING)
    if not turn then return end
    local fields = read_turn(turn)
    if fields and fields.ended then
      write_end(entry_id(fields.number, FENCE, 0), turn, fields.state, 0, 0, fields.cause)
    elseif fields and fields.expires_ms > 0 and fields.expires_ms <= now_ms() then
      cut_off(turn, fields, 'expired', 'could not start in time')
    elseif fields then
      redis.call('HSET', SESSION, 'speaking', turn)
      set_state(turn, fields.state, 'ready')
      dispatch(turn, fields.voice)
      touch(turn, fields.retention_ms)
      return
    end
  end
end

-- Interrupt a turn that has not ended; `advance` is the caller's. Returns the cut.
local function interrupt(turn, fields)
  local samples, spoken = 0, 0
  if fields.state == 'waiting' then
    close(turn, fields, 'interrupted', 0, 0, '')
  else
    samples, spoken = cut_off(turn, fields, 'interrupted', '')
  end
  return {turn = turn, number = fields.number, samples = samples, spoken = spoken}
end

-- Interrupt what speaks and all that waits. Returns the cuts, in order.
local function interrupt_session()
  local cuts = {}
  local turns = redis.call('LRANGE', WAITING, 0, -1)
  local speaking = redis.call('HGET', SESSION, 'speaking')
  if speaking then table.insert(turns, 1, speaking) end
  for _, turn in ipairs(turns) do
    local fields = read_turn(turn)
    if fields and not fields.ended then table.insert(cuts, interrupt(turn, fields)) end
  end
  advance()
  return cuts
end
