// A client of flocks as somebody writes it in Go: stubs made from our protos by Debian's generators,
// Debian's ttrpc. One command of the socket; what was seen is printed as JSON, and test_go.py judges it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	v1 "flocks/v1"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/proto"
	"google.golang.org/grpc/status"
)

type object = map[string]interface{}

type peer struct {
	client     *ttrpc.Client
	supervisor v1.SupervisorServiceService
	arguments  []string
}

func die(err error) {
	fmt.Fprintln(os.Stderr, "go client:", err)
	os.Exit(1)
}

func within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	time.AfterFunc(limit+time.Minute, cancel)
	return ctx
}

// What a caller can know about a failure; nil: there was none.
func failure(err error) object {
	if err == nil {
		return nil
	}
	told, ok := status.FromError(err)
	if !ok {
		return object{"local": err.Error()}
	}
	seen := object{"code": int(told.Code()), "message": told.Message()}
	for _, packed := range told.Proto().Details {
		var detail v1.ErrorDetail
		seen["type_url"] = packed.TypeUrl
		if err := proto.Unmarshal(packed.Value, &detail); err != nil {
			die(err)
		}
		seen["reason"] = detail.Reason.String()
		seen["service"] = detail.Service
		seen["attempted"] = detail.Attempted
		seen["hint"] = detail.Hint
		seen["operation"] = detail.OperationId
	}
	return seen
}

func operation(from *v1.Operation) object {
	outcomes := []object{}
	for _, one := range from.Outcomes {
		outcomes = append(outcomes, object{"service": one.Service, "state": one.State.String(),
			"from": one.FromGeneration, "to": one.ToGeneration})
	}
	return object{"id": from.Id, "kind": from.Kind.String(), "state": from.State.String(), "outcomes": outcomes,
		"done": from.StepsDone, "total": from.StepsTotal}
}

func (p *peer) status() interface{} {
	answer, err := p.supervisor.GetStatus(within(20*time.Second), &v1.GetStatusRequest{Services: p.arguments})
	if err != nil {
		die(err)
	}
	services := []object{}
	for _, one := range answer.Services {
		services = append(services, object{"name": one.Name, "state": one.State.String(), "pid": one.Pid,
			"generation": one.Generation, "log_path": one.LogPath, "since": one.Since != nil})
	}
	return object{"daemon": answer.Daemon.Pid, "version": answer.Daemon.Version, "services": services}
}

func (p *peer) restart() interface{} {
	answer, err := p.supervisor.RestartServices(within(30*time.Second),
		&v1.RestartServicesRequest{Services: p.arguments, Wait: true})
	if err != nil {
		die(err)
	}
	return operation(answer.Operation)
}

func (p *peer) stop() interface{} {
	answer, err := p.supervisor.StopServices(within(30*time.Second),
		&v1.StopServicesRequest{Services: p.arguments, Wait: true})
	if err != nil {
		die(err)
	}
	return operation(answer.Operation)
}

// Every change of an operation, as a client without streams sees them.
func (p *peer) progress() interface{} {
	begun, err := p.supervisor.RestartServices(within(5*time.Second),
		&v1.RestartServicesRequest{Services: p.arguments})
	if err != nil {
		die(err)
	}
	seen := []object{}
	var revision uint32
	for {
		answer, err := p.supervisor.GetOperation(within(20*time.Second), &v1.GetOperationRequest{
			OperationId: begun.Operation.Id, Wait: revision != 0, SeenRevision: revision})
		if err != nil {
			die(err)
		}
		revision = answer.Revision
		now := operation(answer.Operation)
		now["revision"] = revision
		seen = append(seen, now)
		if answer.Operation.State > v1.OperationState_OPERATION_STATE_RUNNING {
			return seen
		}
	}
}

func (p *peer) fail() interface{} {
	_, err := p.supervisor.StopServices(within(5*time.Second), &v1.StopServicesRequest{Services: p.arguments})
	return failure(err)
}

// The call ends, the work goes on.
func (p *peer) deadline() interface{} {
	began := time.Now()
	_, err := p.supervisor.RestartServices(within(2*time.Second),
		&v1.RestartServicesRequest{Services: p.arguments, Wait: true})
	took := time.Since(began).Milliseconds()
	seen := failure(err)
	if seen == nil || seen["operation"] == nil {
		return object{"failure": seen, "took_ms": took}
	}
	answer, err := p.supervisor.GetOperation(within(5*time.Second),
		&v1.GetOperationRequest{OperationId: seen["operation"].(string)})
	if err != nil {
		die(err)
	}
	return object{"failure": seen, "took_ms": took, "state": answer.Operation.State.String()}
}

// Many goroutines on one connection; each must get its own answer.
func (p *peer) concurrent() interface{} {
	const callers, calls = 32, 25
	var group sync.WaitGroup
	wrong := make(chan string, callers*calls)
	for i := 0; i < callers; i++ {
		group.Add(1)
		go func(name string) {
			defer group.Done()
			ctx := ttrpc.WithMetadata(within(60*time.Second), ttrpc.MD{"caller": {name, "again"}})
			for n := 0; n < calls; n++ {
				answer, err := p.supervisor.GetStatus(ctx, &v1.GetStatusRequest{Services: []string{name}})
				if err != nil {
					wrong <- err.Error()
				} else if len(answer.Services) != 1 || answer.Services[0].Name != name {
					wrong <- "not the answer for " + name
				}
			}
		}(p.arguments[i%len(p.arguments)])
	}
	group.Wait()
	close(wrong)
	seen := []string{}
	for one := range wrong {
		seen = append(seen, one)
	}
	return object{"calls": callers * calls, "wrong": seen}
}

// ttrpc before 1.2 has no streams: its generator makes unary stubs of these.
func (p *peer) streams() interface{} {
	_, events := p.supervisor.WatchEvents(within(5*time.Second), &v1.WatchEventsRequest{})
	_, logs := p.supervisor.ReadLogs(within(5*time.Second), &v1.ReadLogsRequest{})
	_, progress := p.supervisor.WatchOperation(within(5*time.Second), &v1.WatchOperationRequest{})
	_, after := p.supervisor.GetStatus(within(5*time.Second), &v1.GetStatusRequest{})
	return object{"WatchEvents": failure(events), "ReadLogs": failure(logs), "WatchOperation": failure(progress),
		"after": failure(after)}
}

// A stub of the other generator, protoc-gen-go-ttrpc; and a service, a method and a size that are refused.
func (p *peer) refused() interface{} {
	_, upgrade := v1.NewUpgradeServiceClient(p.client).GetUpgrade(within(5*time.Second), &v1.GetUpgradeRequest{})
	var nothing v1.GetStatusResponse
	service := p.client.Call(within(5*time.Second), "flocks.v1.NoService", "GetStatus", &v1.GetStatusRequest{}, &nothing)
	method := p.client.Call(within(5*time.Second), "flocks.v1.SupervisorService", "NoMethod", &v1.GetStatusRequest{}, &nothing)
	_, size := p.supervisor.PlanConfig(within(20*time.Second), &v1.PlanConfigRequest{Text: make([]byte, 5<<20)})
	_, after := p.supervisor.GetStatus(within(5*time.Second), &v1.GetStatusRequest{})
	return object{"upgrade": failure(upgrade), "service": failure(service), "method": failure(method),
		"size": failure(size), "after": failure(after)}
}

func main() {
	commands := map[string]func(*peer) interface{}{"status": (*peer).status, "restart": (*peer).restart,
		"stop": (*peer).stop, "progress": (*peer).progress, "fail": (*peer).fail, "deadline": (*peer).deadline,
		"concurrent": (*peer).concurrent, "streams": (*peer).streams, "refused": (*peer).refused}
	if len(os.Args) < 3 || commands[os.Args[2]] == nil {
		die(fmt.Errorf("usage: client SOCKET COMMAND [SERVICE...]"))
	}
	connection, err := net.Dial("unix", os.Args[1])
	if err != nil {
		die(err)
	}
	client := ttrpc.NewClient(connection)
	defer client.Close()
	seen := commands[os.Args[2]](&peer{client, v1.NewSupervisorServiceClient(client), os.Args[3:]})
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		die(err)
	}
}
