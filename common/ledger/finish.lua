-- finish: the worker that speaks a turn ends it.
--
-- ARGV  5 attempt  6 seq of the end entry  7 reason (done | failed)  8 samples  9 spoken  10 cause
-- Does      writes `end`, acknowledges the message, seals the tokens, lets the next turn of the session speak. A failed turn
--           also goes to `dead`.
-- Refuses   `fenced`: another attempt is the current one, or the turn has ended otherwise. `gone`: it is no longer there.
--           Nothing is changed then.
-- Repeating is harmless: `known`, if this very attempt has ended the turn in this way.
-- Returns   JSON {status = finished | known | fenced | gone}

local turn = ARGV[4]
local attempt, seq, reason, samples, spoken, cause = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local fields = read_turn(turn)
if not fields then return cjson.encode({status = 'gone'}) end
if fields.attempt ~= attempt then return cjson.encode({status = 'fenced'}) end
if fields.ended then return cjson.encode({status = fields.state == reason and 'known' or 'fenced'}) end
if fields.state ~= 'speaking' then return cjson.encode({status = 'fenced'}) end

if not write_end(entry_id(fields.number, attempt, seq), turn, reason, samples, spoken, cause) then
  return cjson.encode({status = 'gone'})
end
close(turn, fields, reason, samples, spoken, cause)
if reason == 'failed' then bury(turn, fields, cause) end
advance()
return cjson.encode({status = 'finished'})
