-- release: a worker that cannot go on gives a turn back, and any other may claim it at once.
--
-- ARGV  5 attempt  6 owner
-- Does      state ready; a new message in `dispatch` instead of the old one, so that a worker that waits is woken. The attempt
--           does not count as one that was lost.
-- Refuses   `fenced`: another attempt or another owner's is the current one, or the turn has ended. `gone`: it is no longer
--           there. Nothing is changed then.
-- Repeating is harmless: `known`, while nobody has claimed it since.
-- Returns   JSON {status = released | known | fenced | gone}

local turn = ARGV[4]
local attempt, owner = tonumber(ARGV[5]), ARGV[6]

local fields = read_turn(turn)
if not fields then return cjson.encode({status = 'gone'}) end
if fields.attempt ~= attempt or fields.owner ~= owner or fields.ended then return cjson.encode({status = 'fenced'}) end
if fields.state == 'ready' then return cjson.encode({status = 'known'}) end

set_state(turn, fields.state, 'ready')
acknowledge(fields.message)
dispatch(turn, fields.voice)
touch(turn, fields.retention_ms)
return cjson.encode({status = 'released'})
