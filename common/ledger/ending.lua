-- How turns end, and how the next one comes; stands behind trim.lua.

-- Write the `end` entry; nil if the output stream is gone, and then it is not made anew.
local function write_end(id, turn, fields, reason, samples, spoken, cause)
  local written = redis.call('XADD', AUDIO, 'NOMKSTREAM', id, 'type', 'end', 'turn', turn, 'reason', reason,
    'samples', samples, 'spoken', spoken, 'cause', cause)
  if written then keep(fields, id, samples) end
  return written
end

-- Close the books of a turn: final state, no dispatch message, no further token. The output's `end` entry is the caller's.
-- The seal's id is the clock's, which is larger than any token's number: from now on every token is refused. Where somebody
-- has put something else in the stream's place, the turn ends all the same.
local function close(turn, fields, reason, samples, spoken, cause)
  set_state(turn, fields.state, reason, 'samples', samples, 'spoken', spoken, 'cause', cause, 'message', '',
    'ended_ms', text(now_ms()))
  acknowledge(fields.message)
  redis.call('ZREM', DEADLINES, deadline_of(turn))
  redis.pcall('XADD', tokens_key(turn), 'NOMKSTREAM', '*', 'seal', reason)
  touch(turn, fields.retention_ms)
end

-- End a turn that no worker ends: the entry stands above every attempt. Returns how far it had come.
local function cut_off(turn, fields, reason, cause)
  local samples, _, spoken = published(fields.number)
  write_end(entry_id(fields.number, FENCE, 0), turn, fields, reason, samples, spoken, cause)
  close(turn, fields, reason, samples, spoken, cause)
  return samples, spoken
end

-- End a turn that has not ended, wherever it stands; `advance` is the caller's. One that waits is ended in its hash only: its
-- `end` entry comes when those before it have ended, because earlier it would fence the one that speaks. Returns the cut.
local function end_early(turn, fields, reason, cause)
  local samples, spoken = 0, 0
  if fields.state == 'waiting' then
    close(turn, fields, reason, 0, 0, cause)
  else
    samples, spoken = cut_off(turn, fields, reason, cause)
  end
  fields.state = reason
  return cut_of(turn, fields, samples, spoken)
end

local LATE = 'could not start in time'

-- How many token events of a turn are there, and whether the last of them is the end of its text.
local function said(turn)
  for _, entry in ipairs(redis.pcall('XREVRANGE', tokens_key(turn), '+', '-', 'COUNT', 2)) do
    local event = to_table(entry[2])
    if not event.seal then return entry[1]:match('^%d+'), event['end'] and 1 or 0 end
  end
  return 0, 0
end

-- The letter says whether it has the whole text: a producer that learns of the failure keeps the rest of it to itself.
local function bury(turn, fields, samples, spoken, cause)
  local tokens, whole = said(turn)
  redis.call('XADD', DEAD, 'MAXLEN', '~', 10000, '*', 'turn', turn, 'session', ARGV[3], 'cause', cause,
    'attempts', fields.attempt, 'request', fields.request, 'samples', samples, 'spoken', spoken,
    'tokens', tokens, 'whole', whole)
  prolong(DEAD, fields.retention_ms)
end

-- The session's turn has ended: let the next one that still wants to speak do so. Turns that have ended while they waited get
-- their `end` entry now, in their order.
local function advance()
  redis.call('HDEL', SESSION, 'speaking')
  while true do
    local turn = redis.call('LPOP', WAITING)
    if not turn then return end
    local fields = read_turn(turn)
    if fields and fields.ended then
      write_end(entry_id(fields.number, FENCE, 0), turn, fields, fields.state, 0, 0, fields.cause)
    elseif fields and is_late(fields) then
      cut_off(turn, fields, 'expired', LATE)
    elseif fields then
      redis.call('HSET', SESSION, 'speaking', turn)
      set_state(turn, fields.state, 'ready')
      dispatch(turn, fields.voice)
      touch(turn, fields.retention_ms)
      return
    end
  end
end

-- Take a message out of `dispatch` whose turn is gone, or has another message by now, or none.
local function leave_behind(message, turn, fields)
  acknowledge(message)
  if fields then return end
  redis.call('ZREM', DEADLINES, deadline_of(turn))
  if redis.call('HGET', SESSION, 'speaking') == turn then advance() end
end

-- Interrupt all that waits in the session and, unless only that is meant, what speaks. Returns the cuts, in order.
local function interrupt_session(waiting_only, cause)
  local cuts = {}
  local turns = redis.call('LRANGE', WAITING, 0, -1)
  local speaking = redis.call('HGET', SESSION, 'speaking')
  if speaking and not waiting_only then table.insert(turns, 1, speaking) end
  for _, turn in ipairs(turns) do
    local fields = read_turn(turn)
    if fields and not fields.ended then table.insert(cuts, end_early(turn, fields, 'interrupted', cause)) end
  end
  if not waiting_only then advance() end
  return cuts
end
