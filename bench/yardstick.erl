%% What bench.actors measures, on the BEAM: bare processes, neither supervised nor named, and
%% mailboxes without a bound. main(Figure, Count) prints one JSON object.
-module(yardstick).
-export([main/2]).

main(fan_in, Count) ->
    Self = self(),
    Sink = spawn_link(fun() -> sink(0, Count, Self) end),
    Seconds = seconds(fun() ->
        spawn_link(fun() -> tell_all(Sink, 0, Count) end),
        receive Sink -> ok end
    end),
    say("fan_in_msg_s", Count / Seconds);
main(ping_pong, Count) ->
    Self = self(),
    Pong = spawn_link(fun pong/0),
    Ping = spawn_link(fun() -> ping(Pong, 2 * Count, Self) end),
    Seconds = seconds(fun() -> Ping ! {Pong, 0}, receive Ping -> ok end end),
    say("ping_pong_rt_s", Count / Seconds);
main(spawn, Count) ->
    erlang:garbage_collect(),
    Before = rss(),
    Self = self(),
    Seconds = seconds(fun() -> start(Self, Count) end),
    Grown = rss() - Before,
    receive started -> ok end,
    io:format("{\"spawn_s\": ~w, \"idle_bytes\": ~w}~n", [Count / Seconds, Grown / Count]).

%% In order and each once, or the run never ends.
sink(Count, Count, Owner) -> Owner ! self();
sink(Seen, Count, Owner) -> receive Seen -> sink(Seen + 1, Count, Owner) end.

tell_all(_, Count, Count) -> ok;
tell_all(Sink, Number, Count) -> Sink ! Number, tell_all(Sink, Number + 1, Count).

ping(Pong, Last, Owner) ->
    receive
        {Pong, Last} -> Owner ! self();
        {Pong, Ball} -> Pong ! {self(), Ball + 1}, ping(Pong, Last, Owner)
    end.

pong() -> receive {Ping, Ball} -> Ping ! {self(), Ball + 1}, pong() end.

start(Owner, 0) -> Owner ! started;
start(Owner, Count) -> spawn(fun idle/0), start(Owner, Count - 1).

idle() -> receive stop -> ok end.

seconds(Fun) ->
    {Microseconds, _} = timer:tc(Fun),
    Microseconds / 1.0e6.

rss() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, [1], list}]),
    list_to_integer(Kilobytes) * 1024.

say(Key, Figure) -> io:format("{\"~s\": ~w}~n", [Key, Figure]).
