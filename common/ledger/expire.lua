-- expire: end a turn that could not start in time, before its turn to speak has come.
--
-- Does      as `interrupt` does for one turn, if nothing of it is in the output and its time is over. Forgets its deadline if
--           there is nothing left to do.
-- Refuses   a turn that has started, has ended, or still has time: `kept`. Also one that a worker has in hand: that one knows
--           the deadline (claim.lua), and `release` or the next claim see to it.
-- Repeating is harmless: it finds the turn ended.
-- Returns   JSON {status = expired | kept}

local turn = ARGV[4]
local fields = read_turn(turn)
if not fields or fields.ended or fields.state == 'speaking' or has_started(fields) then
  redis.call('ZREM', DEADLINES, deadline_of(turn))
  return cjson.encode({status = 'kept'})
end
if not is_late(fields) then return cjson.encode({status = 'kept'}) end
local waited = fields.state == 'waiting'
end_early(turn, fields, 'expired', LATE)
if not waited then advance() end
return cjson.encode({status = 'expired'})
