-- claim: begin an attempt at a turn.
--
-- ARGV  5 message (id in `dispatch`)  6 owner (worker and call: unique for each claim)  7 most attempts  8 output format
--       9 bytes of one sample in it
-- Does      attempt + 1, owner, state speaking. Writes `begin` (first attempt) or `splice` at the end of the last word that
--           was fully published; its id fences every earlier attempt, and it names the owner.
-- Refuses   `ended`: the turn has ended or the message is not its current one; the message is acknowledged and gone.
--           `exhausted`: as many workers as allowed were lost on it at the same place; it ends `failed`, goes to `dead`.
--           `expired`: nobody has claimed it in time; it ends. `gone`: the turn, or its session's output, is no longer there.
--           `elsewhere`: another worker speaks it and has its lease; one that was frozen, or whose claim was late, may not
--           know that yet. Nothing is changed then.
-- Repeating is harmless: the owner's second call returns what the first returned; no attempt is used up.
-- Returns   JSON {status, number, attempt, request, format, cut, spoken, start_within_ms_left}; no `start_within_ms_left` where
--           the turn has no deadline, or where another attempt has had it in time

local session, turn = ARGV[3], ARGV[4]
local message, owner, most_attempts, format, sample_bytes = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]

local fields = read_turn(turn)
if not fields or fields.ended or fields.message ~= message then
  leave_behind(message, turn, fields)
  return cjson.encode({status = fields and 'ended' or 'gone', state = fields and fields.state})
end

local function claimed(attempt, cut, spoken)
  return cjson.encode({status = 'claimed', number = fields.number, attempt = attempt, request = fields.request,
    format = fields.format or format, cut = cut, spoken = spoken,
    start_within_ms_left = attempt == 1 and fields.expires_ms > 0 and fields.expires_ms - now_ms() or nil})
end

local function worker_of(name) return name:match('^[^/]*') end

local _, cut, spoken, last_attempt = published(fields.number)
if fields.state == 'speaking' then
  if fields.owner == owner then return claimed(fields.attempt, cut, spoken) end
  local speaker = worker_of(fields.owner)
  if speaker ~= worker_of(owner) and speaker == holder(message) then return cjson.encode({status = 'elsewhere'}) end
end

if is_late(fields) then
  cut_off(turn, fields, 'expired', LATE)
  advance()
  return cjson.encode({status = 'expired'})
end
-- Taken over while it was speaking: that worker was lost. If it had come further than those before it, counting begins
-- anew: a Redis that stalls now and then must not end a long turn.
local lost = fields.lost
if fields.state == 'speaking' then lost = cut > fields.progress and 1 or lost + 1 end
if lost >= most_attempts then
  local cause = lost .. ' workers were lost on this turn, one after the other at the same place'
  local samples
  samples, spoken = cut_off(turn, fields, 'failed', cause)
  bury(turn, fields, samples, spoken, cause)
  advance()
  return cjson.encode({status = 'exhausted', cause = cause})
end

-- Above what stands there, too: a writer whose claim was lost in a failover may have written before it noticed.
local attempt = math.max(fields.attempt, last_attempt) + 1
local id, written = entry_id(fields.number, attempt, 0), nil
if not fields.format then
  written = redis.call('XADD', AUDIO, 'NOMKSTREAM', id, 'type', 'begin', 'turn', turn, 'format', format,
    'voice', fields.voice, 'metadata', fields.metadata, 'owner', owner)
else
  written = redis.call('XADD', AUDIO, 'NOMKSTREAM', id, 'type', 'splice', 'turn', turn, 'offset', text(cut),
    'samples', 0, 'spoken', text(spoken), 'cut', text(cut), 'cause', 'another worker goes on', 'voice', fields.voice,
    'owner', owner)
end
if not written then
  close(turn, fields, 'failed', 0, 0, 'the output stream is gone')
  advance()
  return cjson.encode({status = 'gone'})
end
set_state(turn, fields.state, 'speaking', 'attempt', attempt, 'lost', lost, 'progress', text(cut), 'owner', owner,
  'claimed_ms', text(now_ms()))
redis.call('HDEL', turn_key(turn), 'unspoken_ms')
redis.call('ZREM', DEADLINES, deadline_of(turn))
redis.call('HSETNX', turn_key(turn), 'format', format)
redis.call('HSETNX', turn_key(turn), 'sample_bytes', sample_bytes)
redis.call('HSETNX', turn_key(turn), 'began_ms', text(now_ms()))
touch(turn, fields.retention_ms)
return claimed(attempt, cut, spoken)
