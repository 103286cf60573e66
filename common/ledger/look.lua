-- look: a turn's record and how far it has come, at one moment.
--
-- Refuses   `unknown`: no such turn in this session.
-- Returns   JSON {status = found | unknown, record = the hash, progress = {samples, spoken, played, heard}}

local turn = ARGV[4]
local fields = read_turn(turn)
if not fields or fields.session ~= ARGV[3] then return cjson.encode({status = 'unknown'}) end
local samples, spoken = fields.samples, fields.spoken
if not fields.ended and fields.state ~= 'waiting' then -- until its end, only the output says how far it has come
  local position, _, characters = published(fields.number)
  samples, spoken = position, characters
end
return cjson.encode({status = 'found', record = to_table(redis.call('HGETALL', turn_key(turn))),
  progress = cut_of(turn, fields, samples, spoken)})
