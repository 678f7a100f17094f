// Package pipeline takes what modules fetch to /context, in four stages: ingest,
// aggregate, synthesize and deliver.
//
// # What it owns
//
//   - The stages with their queues and workers ([Pipeline]), and the jobs that go through
//     them ([Job]).
//   - What is served ([Store], [Delivered]), and what is told of it in fewer words: a
//     summary, what is most relevant, a briefing (brief.go).
//   - data/pipeline.db: the last results, and failed jobs until they are retried or
//     discarded (results.go).
//   - The section pipeline of the snapshot, but for how many fetches it holds back.
//
// # What it refuses
//
// A fetch that there is no place for, where its first stage is full, paused or drained:
// [Pipeline.Room] says so before anything is fetched. What was fetched all the same is
// kept for a retry ([Pipeline.NoRoom]).
//
// # Who may write
//
// Whoever fetches, with one job a fetch; actions, through [Pipeline.Execute]. What was
// delivered is never changed.
//
// # Adding a stage
//
// Give it a title in titles, in flow order, its default of workers, and a function; New
// chains them.
//
// # Why a place is promised first
//
// A job is taken out of a queue only when the next stage has room for it, and a fetch is
// made only when the first has: no worker ever waits, so that what is in work when a stage
// is paused is finished, and nothing is fetched that would have to be thrown away.
package pipeline
