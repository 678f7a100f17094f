// Package version keeps the versions of programs, by what they hold: what lay in a folder,
// which of it was approved, and how it is put back.
//
// # What it owns
//
//   - data/module_versions: blobs/ has each file once, by the SHA-256 of what it holds,
//     index/ a file for each module ([Store], [History]).
//   - What of a folder is its program ([Content]).
//   - The folders beside a module's while a version is put back (place.go).
//
// # What it refuses
//
// A link that leads out of the folder, an index whose names or digests do not hold, a file
// that is not what its name says. It approves nothing: who may say yes is the engine's.
//
// # Who may write
//
// One caller at a time for each module; the store guards what modules share.
//
// # What is a program
//
// A program (content.go) is manifest.json, what an interpreter loads or runs, what may
// be executed, templates, and configuration as people write it. A link that leads out
// of the folder is refused; what editors and interpreters leave is passed over.
//
// # Adding a kind of file that is program
//
// Add its suffix to programSuffixes. Modules that have such a file wait for a yes once
// more, as their digest changes by it.
//
// # Why data files need no approval
//
// Real adapters keep caches, cursors and databases beside their code. If these counted,
// such a module would stand still after its own first write, and a rollback would undo
// what it learned. So files that hold no program are neither approved, kept nor put back.
//
// # Why a version is an exchange of folders
//
// Files written one by one leave a mixture when the engine is killed. A version is put
// together in a folder beside the module's, with its data files linked in, and takes its
// name in one step where the file system can exchange two names (Linux), in two elsewhere,
// which the next start mends. The index says before what is to come (pending) and after
// that it came, so that the version that lies there is approved, whichever it is.
package version
