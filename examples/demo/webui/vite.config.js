import { defineConfig } from "vite";

const backend = process.env.DEMO_BACKEND ?? "http://127.0.0.1:8000";

export default defineConfig({
  preview: { proxy: { "/api": { target: backend, changeOrigin: true } } },
});
