-- finish: the worker that speaks a turn ends it.
--
-- ARGV  5 attempt  6 owner  7 seq of the end entry  8 reason (done | failed | expired)  9 samples  10 spoken  11 cause
-- Does      writes `end`, acknowledges the message, seals the tokens, lets the next turn of the session speak. A failed turn
--           also goes to `dead`. `expired` is for one for which no vendor was free in time.
-- Refuses   `fenced`: another attempt is the current one, or another owner's (a failover that loses a claim gives its number
--           out twice), or the turn has ended otherwise. `gone`: it is no longer there. `short`: the entry before the end is
--           not the last one, because a failover has lost what was published. Nothing is changed then.
-- Repeating is harmless: `known`, if this very attempt has ended the turn in this way.
-- Returns   JSON {status = finished | known | fenced | gone | short}

local turn = ARGV[4]
local attempt, owner, seq, reason = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), ARGV[8]
local samples, spoken, cause = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]

local fields = read_turn(turn)
if not fields then return cjson.encode({status = 'gone'}) end
if fields.attempt ~= attempt or fields.owner ~= owner then return cjson.encode({status = 'fenced'}) end
if fields.ended then return cjson.encode({status = fields.state == reason and 'known' or 'fenced'}) end
if fields.state ~= 'speaking' then return cjson.encode({status = 'fenced'}) end
local last = redis.call('XREVRANGE', AUDIO, '+', '-', 'COUNT', 1)[1]
if last and last[1] ~= entry_id(fields.number, attempt, seq - 1) then return cjson.encode({status = 'short'}) end

if not write_end(entry_id(fields.number, attempt, seq), turn, fields, reason, samples, spoken, cause) then
  return cjson.encode({status = 'gone'})
end
close(turn, fields, reason, samples, spoken, cause)
if reason == 'failed' then bury(turn, fields, samples, spoken, cause) end
advance()
return cjson.encode({status = 'finished'})
