import { vite as quantc } from 'quantc/unplugin';
import { defineConfig } from 'vite';

export default defineConfig({ base: './', plugins: [quantc()], build: { target: 'esnext' } });
