-- played: a player says how far it has played a turn.
--
-- ARGV  5 sample   6 heard (characters of the producer's text)
-- Does      keeps the furthest of what was reported, also after the turn's end: a player has a buffer.
-- Refuses   `unknown`: no such turn in this session.
-- Repeating is harmless: what is not further changes nothing.
-- Returns   JSON {status = noted | unknown}

local turn = ARGV[4]
local fields = read_turn(turn)
if not fields or fields.session ~= ARGV[3] then return cjson.encode({status = 'unknown'}) end
for name, reported in pairs({played = tonumber(ARGV[5]), heard = tonumber(ARGV[6])}) do
  if reported > (fields[name] or -1) then redis.call('HSET', turn_key(turn), name, text(reported)) end
end
return cjson.encode({status = 'noted'})
