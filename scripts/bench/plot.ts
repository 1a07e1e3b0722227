import { BarChart, type BarSeriesOption, CustomChart, type CustomSeriesOption } from 'echarts/charts';
import { GridComponent, type GridComponentOption, TitleComponent, type TitleComponentOption } from 'echarts/components';
import { type ComposeOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { names } from './peers/names.ts';
import type { ScenarioResult } from './results.ts';
import { opensslSpeed } from './scenarios/crypto-names.ts';
import { summarize } from './statistics.ts';
import { formatNumber, formatValue, scaleFor } from './units.ts';

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer]);

type Options = ComposeOption<BarSeriesOption | CustomSeriesOption | GridComponentOption | TitleComponentOption>;

const width = 800;
const rowHeight = 32;
const colors = {
  ours: '#1a63c6',
  variant: '#7fb0ea',
  reference: '#8b95a1',
  other: '#c9cfd6',
  ink: '#1f2328',
  faint: '#59636e',
};

function colorOf(competitor: string, order: ScenarioResult['order']): string {
  if (competitor === names.ours || competitor.endsWith('koffi')) return colors.ours;
  if (competitor.endsWith('node:crypto')) return colors.variant;
  if (competitor.startsWith(names.ours)) return order === 'given' ? colors.ours : colors.variant;
  return competitor === names.plain || competitor === opensslSpeed ? colors.reference : colors.other;
}

/** Returns the rows of a plot or table, the best first where they are rivals. */
export function rowsOf({ measurements, order, better }: ScenarioResult) {
  const rows = measurements.map(({ competitor, values }) => ({ competitor, ...summarize(values) }));
  if (order === 'given') return rows;
  return rows.sort((a, b) => (better === 'higher' ? b.median - a.median : a.median - b.median));
}

/** Draws a bar for the median of each competitor, and a whisker from the least to the greatest value; returns SVG. */
export function plot(scenario: ScenarioResult, rounds: number): string {
  const rows = rowsOf(scenario);
  const scale = scaleFor(scenario.unit, Math.max(...rows.map(({ median }) => median)));
  const height = 92 + rows.length * rowHeight;
  // Wide enough for any font that replaces the first choice.
  const labelWidth = 8 * Math.max(...rows.map(({ competitor }) => competitor.length));
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  const spread = rounds > 1 ? `median of ${rounds} rounds, whiskers from least to greatest` : 'one round';
  const text = { fontFamily: 'Helvetica, Arial, sans-serif', color: colors.ink };
  const options: Options = {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: text,
    title: {
      text: scenario.title,
      subtext: `${scale.suffix}; ${scenario.better} is better; ${spread}`,
      left: 14,
      top: 10,
      textStyle: { ...text, fontSize: 16, fontWeight: 'bold' },
      subtextStyle: { ...text, color: colors.faint, fontSize: 12 },
    },
    grid: { left: 22 + labelWidth, right: 110, top: 62, bottom: 28, outerBoundsMode: 'none' },
    xAxis: {
      type: 'value',
      min: 0,
      splitNumber: 5,
      axisLabel: { color: colors.faint, formatter: (value: number) => formatNumber(value) },
      splitLine: { lineStyle: { color: '#e8ebee' } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(({ competitor }) => competitor),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: '#c9cfd6' } },
      axisLabel: {
        fontSize: 13,
        color: (name) => (`${name}`.startsWith(names.ours) ? colors.ours : colors.ink),
      },
    },
    series: [
      {
        type: 'bar',
        barWidth: 18,
        silent: true,
        data: rows.map(({ competitor, median }) => ({
          value: median / scale.divisor,
          itemStyle: { color: colorOf(competitor, scenario.order) },
        })),
      },
      {
        type: 'custom',
        silent: true,
        z: 3,
        encode: { x: [1, 2], y: 0 },
        data: rows.map(({ least, greatest, median }, index) => [
          index,
          least / scale.divisor,
          greatest / scale.divisor,
          median,
        ]),
        renderItem: (_, api) => {
          const [left = 0, y = 0] = api.coord([api.value(1), api.value(0)]);
          const [right = 0] = api.coord([api.value(2), api.value(0)]);
          const line = (x1: number, y1: number, x2: number, y2: number) =>
            ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: colors.ink, lineWidth: 1.2 } }) as const;
          const label = formatValue(Number(api.value(3)), scale);
          return {
            type: 'group',
            children: [
              line(left, y, right, y),
              line(left, y - 5, left, y + 5),
              line(right, y - 5, right, y + 5),
              {
                type: 'text',
                style: { x: right + 8, y, text: label, fill: colors.ink, fontSize: 13, verticalAlign: 'middle' },
              },
            ],
          };
        },
      },
    ],
  };
  chart.setOption(options);
  const svg = chart.renderToSVGString();
  chart.dispose();
  // Some viewers do not know the attribute that echarts writes.
  return svg.replaceAll('dominant-baseline="central"', 'dy="0.35em"');
}
