-- pass_on: a worker leaves a turn that it was given, and has not claimed, to the others.
--
-- ARGV  5 message   6 worker   7 '1': no worker is known that speaks its voice   8 after so many ms of that it is given up
-- Does      a new message in `dispatch` instead of the old one, so that a worker that waits is woken. No attempt is used up,
--           nothing is published, and the deadline holds as before. Notes since when no worker has been known that speaks it.
-- Refuses   `nobody`: that has been so for long enough; it is the caller's to end. `elsewhere`: the message is in other hands,
--           and nothing is changed; or the turn is gone or has ended, and its message is acknowledged, as by `claim`.
-- Repeating is harmless: it finds another message (`elsewhere`).
-- Returns   JSON {status = passed_on | nobody | elsewhere}

local turn = ARGV[4]
local message, worker, nobody, most_ms = ARGV[5], ARGV[6], ARGV[7] == '1', tonumber(ARGV[8])

if holder(message) ~= worker then return cjson.encode({status = 'elsewhere'}) end
local fields = read_turn(turn)
if not fields or fields.ended or fields.message ~= message then
  leave_behind(message, turn, fields)
  return cjson.encode({status = 'elsewhere'})
end
if nobody then
  local since_ms = tonumber(fields.unspoken_ms or now_ms())
  if now_ms() - since_ms >= most_ms then return cjson.encode({status = 'nobody'}) end
  redis.call('HSETNX', turn_key(turn), 'unspoken_ms', text(since_ms))
else
  redis.call('HDEL', turn_key(turn), 'unspoken_ms')
end
acknowledge(message)
dispatch(turn, fields.voice)
touch(turn, fields.retention_ms)
return cjson.encode({status = 'passed_on'})
