-- expire: end a turn that could not start in time, before its turn to speak has come.
--
-- Does      as `interrupt` does for one turn, if no worker has claimed it and its time is over. Forgets its deadline if
--           there is nothing left to do.
-- Refuses   a turn that has been claimed, has ended, or still has time: `kept`. Who claims it is told the deadline (claim.lua).
-- Repeating is harmless: it finds the turn ended.
-- Returns   JSON {status = expired | kept}

local turn = ARGV[4]
local fields = read_turn(turn)
if not fields or fields.ended or fields.attempt > 0 then
  redis.call('ZREM', DEADLINES, deadline_of(turn))
  return cjson.encode({status = 'kept'})
end
if not is_late(fields) then return cjson.encode({status = 'kept'}) end
local waited = fields.state == 'waiting'
end_early(turn, fields, 'expired', LATE)
if not waited then advance() end
return cjson.encode({status = 'expired'})
