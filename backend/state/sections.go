package state

// Each section names itself, carries its Health, and knows its place.

// Name implements Section.
func (Workspace) Name() SectionName             { return SectionWorkspace }
func (s Workspace) health() Health              { return s.Health }
func (s Workspace) withHealth(h Health) Section { s.Health = h; return s }
func (s Workspace) place(to *Snapshot)          { to.Workspace = s }

// Name implements Section.
func (Modules) Name() SectionName             { return SectionModules }
func (s Modules) health() Health              { return s.Health }
func (s Modules) withHealth(h Health) Section { s.Health = h; return s }
func (s Modules) place(to *Snapshot)          { to.Modules = s }

// Name implements Section.
func (Pipeline) Name() SectionName             { return SectionPipeline }
func (s Pipeline) health() Health              { return s.Health }
func (s Pipeline) withHealth(h Health) Section { s.Health = h; return s }
func (s Pipeline) place(to *Snapshot)          { to.Pipeline = s }

// Name implements Section.
func (Services) Name() SectionName             { return SectionServices }
func (s Services) health() Health              { return s.Health }
func (s Services) withHealth(h Health) Section { s.Health = h; return s }
func (s Services) place(to *Snapshot)          { to.Services = s }

// Name implements Section.
func (Containers) Name() SectionName             { return SectionContainers }
func (s Containers) health() Health              { return s.Health }
func (s Containers) withHealth(h Health) Section { s.Health = h; return s }
func (s Containers) place(to *Snapshot)          { to.Containers = s }

// Name implements Section.
func (Queues) Name() SectionName             { return SectionQueues }
func (s Queues) health() Health              { return s.Health }
func (s Queues) withHealth(h Health) Section { s.Health = h; return s }
func (s Queues) place(to *Snapshot)          { to.Queues = s }

// Name implements Section.
func (Logs) Name() SectionName             { return SectionLogs }
func (s Logs) health() Health              { return s.Health }
func (s Logs) withHealth(h Health) Section { s.Health = h; return s }
func (s Logs) place(to *Snapshot)          { to.Logs = s }

// Name implements Section.
func (Alerts) Name() SectionName             { return SectionAlerts }
func (s Alerts) health() Health              { return s.Health }
func (s Alerts) withHealth(h Health) Section { s.Health = h; return s }
func (s Alerts) place(to *Snapshot)          { to.Alerts = s }

// Name implements Section.
func (Host) Name() SectionName             { return SectionHost }
func (s Host) health() Health              { return s.Health }
func (s Host) withHealth(h Health) Section { s.Health = h; return s }
func (s Host) place(to *Snapshot)          { to.Host = s }

// Name implements Section.
func (Routing) Name() SectionName             { return SectionRouting }
func (s Routing) health() Health              { return s.Health }
func (s Routing) withHealth(h Health) Section { s.Health = h; return s }
func (s Routing) place(to *Snapshot)          { to.Routing = s }

// Name implements Section.
func (Actions) Name() SectionName             { return SectionActions }
func (s Actions) health() Health              { return s.Health }
func (s Actions) withHealth(h Health) Section { s.Health = h; return s }
func (s Actions) place(to *Snapshot)          { to.Actions = s }

// Name implements Section.
func (Journal) Name() SectionName             { return SectionJournal }
func (s Journal) health() Health              { return s.Health }
func (s Journal) withHealth(h Health) Section { s.Health = h; return s }
func (s Journal) place(to *Snapshot)          { to.Journal = s }
