// A tour of flocks over ttrpc: tour SERVICE. Debian's ttrpc, 1.1.1, has no streams: progress comes by GetOperation, log
// and events are left out (../go-grpc has them).
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	flocks "flocks/v1"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/proto"
	"google.golang.org/grpc/status"
)

// gogo's own types stand for the well-known ones.
//
//go:generate mkdir -p gopath/src
//go:generate protoc -I../../../proto --gogottrpc_out=plugins=ttrpc,Mgoogle/protobuf/timestamp.proto=github.com/gogo/protobuf/types,Mgoogle/protobuf/duration.proto=github.com/gogo/protobuf/types,Mgoogle/protobuf/descriptor.proto=github.com/gogo/protobuf/protoc-gen-gogo/descriptor:gopath/src flocks/v1/types.proto flocks/v1/options.proto flocks/v1/config.proto flocks/v1/supervisor.proto

const callTime = 10 * time.Second

type tour struct {
	flocks  flocks.SupervisorServiceService
	service string
}

// The socket of $FLOCKS_SOCKET, or of $FLOCKS_ROOT, which is ~/.flocks by default.
func socketPath() string {
	if path := os.Getenv("FLOCKS_SOCKET"); path != "" {
		return path
	}
	root := os.Getenv("FLOCKS_ROOT")
	if root == "" {
		root = filepath.Join(os.Getenv("HOME"), ".flocks")
	}
	return filepath.Join(root, "run", "flocksd.sock")
}

// "SERVICE_STATE_HEALTHY" without its type.
func short(prefix string, value fmt.Stringer) string {
	return strings.TrimPrefix(value.String(), prefix)
}

func state(of *flocks.ServiceStatus) string {
	return short("SERVICE_STATE_", of.State)
}

func (t *tour) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := t.flocks.GetStatus(ctx, &flocks.GetStatusRequest{})
	if err != nil {
		return err
	}
	for _, service := range answer.Services {
		fmt.Printf("status: %s %s, generation %d\n", service.Name, state(service), service.Generation)
	}
	return nil
}

// One answer for each change of the operation; it would go on without us.
func (t *tour) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begun, err := t.flocks.RestartServices(ctx, &flocks.RestartServicesRequest{Services: []string{t.service}})
	if err != nil {
		return err
	}
	get := &flocks.GetOperationRequest{OperationId: begun.Operation.Id}
	for {
		now, err := t.flocks.GetOperation(ctx, get)
		if err != nil {
			return err
		}
		operation := now.Operation
		fmt.Printf("restart: %s, %d of %d\n", short("OPERATION_STATE_", operation.State), operation.StepsDone,
			operation.StepsTotal)
		if operation.EndedAt != nil {
			for _, one := range operation.Outcomes {
				fmt.Printf("restart: %s generation %d -> %d\n", one.Service, one.FromGeneration, one.ToGeneration)
			}
			return nil
		}
		get.Wait, get.SeenRevision = true, now.Revision
	}
}

func (t *tour) explain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	why, err := t.flocks.ExplainService(ctx, &flocks.ExplainServiceRequest{Service: t.service})
	if err != nil {
		return err
	}
	fmt.Printf("explain: %s %s, %s\n", t.service, state(why.Status), short("STATE_REASON_", why.Status.Reason))
	if len(why.Exits) > 0 {
		switch last := why.Exits[0]; outcome := last.Outcome.(type) {
		case *flocks.ExitRecord_Signal:
			fmt.Printf("explain: generation %d ended by %s\n", last.Generation, outcome.Signal)
		case *flocks.ExitRecord_ExitCode:
			fmt.Printf("explain: generation %d ended with %d\n", last.Generation, outcome.ExitCode)
		}
	}
	return nil
}

// What a failure brings: a code, a text, and a typed detail.
func (t *tour) mistake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := t.flocks.RestartServices(ctx, &flocks.RestartServicesRequest{Services: []string{"nobody"}})
	told, ok := status.FromError(err)
	if err == nil || !ok {
		return fmt.Errorf("not the failure of a call: %v", err)
	}
	fmt.Printf("mistake: code %d, %s\n", told.Code(), told.Message())
	for _, packed := range told.Proto().Details {
		var detail flocks.ErrorDetail
		if packed.TypeUrl != "type.googleapis.com/"+proto.MessageName(&detail) {
			continue
		}
		if err := proto.Unmarshal(packed.Value, &detail); err != nil {
			return err
		}
		fmt.Printf("mistake: %s, %s: %s\n", short("ERROR_REASON_", detail.Reason), detail.Service, detail.Hint)
	}
	return nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("tour: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: tour SERVICE")
	}
	connection, err := net.Dial("unix", socketPath())
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(connection)
	defer client.Close()
	t := tour{flocks.NewSupervisorServiceClient(client), os.Args[1]}
	for _, step := range []func(context.Context) error{t.status, t.restart, t.explain, t.mistake} {
		if err := step(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
}
